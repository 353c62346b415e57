"""Every way to train by name; each is a countermeasure that acts during training."""

from protect.verify.defences.adversarial import Adversarial
from protect.verify.defences.base import Defence as Defence
from protect.verify.defences.base import StepInputs as StepInputs
from protect.verify.defences.cleanclip import CleanClip
from protect.verify.defences.eda import Eda
from protect.verify.defences.parameter_efficient import FrozenTower, Lora
from protect.verify.defences.safeclip import SafeClip
from protect.verify.defences.staged import Staged
from protect.verify.defences.ueraser import LightUEraser, UEraser

DEFENCES: dict[str | None, type[Defence]] = {
    None: Defence,
    "ueraser": UEraser,
    "ueraser-light": LightUEraser,
    "adversarial": Adversarial,
    "staged": Staged,
    "safeclip": SafeClip,
    "cleanclip": CleanClip,
    "eda": Eda,
    "frozen-tower": FrozenTower,
    "lora": Lora,
}
