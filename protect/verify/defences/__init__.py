"""Every way to train by name; each is a countermeasure that acts during training."""

from protect.verify.defences.adversarial import Adversarial
from protect.verify.defences.base import Given as Given
from protect.verify.defences.base import Lesson as Lesson
from protect.verify.defences.cleanclip import CleanClip
from protect.verify.defences.parameter_efficient import FrozenTower, Lora
from protect.verify.defences.safeclip import SafeClip
from protect.verify.defences.staged import Staged
from protect.verify.defences.ueraser import LightUEraser, UEraser

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
