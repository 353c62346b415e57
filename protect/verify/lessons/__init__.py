"""Every way to train by name; each is a countermeasure that acts during training."""

from protect.verify.lessons.adversarial import Adversarial
from protect.verify.lessons.base import Given as Given
from protect.verify.lessons.base import Lesson as Lesson
from protect.verify.lessons.cleanclip import CleanClip
from protect.verify.lessons.frozen import FrozenTower, Lora
from protect.verify.lessons.safeclip import SafeClip
from protect.verify.lessons.staged import Staged
from protect.verify.lessons.ueraser import LightUEraser, UEraser

PLAIN = ""
LESSONS: dict[str, type[Lesson]] = {
    PLAIN: Lesson,
    "ueraser": UEraser,
    "ueraser-light": LightUEraser,
    "adversarial": Adversarial,
    "staged": Staged,
    "safeclip": SafeClip,
    "cleanclip": CleanClip,
    "frozen-tower": FrozenTower,
    "lora": Lora,
}
