"""Training anew without the forget pairs: the gold standard, and the model's own training recipe."""

from jaxtyping import Float
from torch import Tensor

from protect.settings.unlearn import ForgetSettings
from protect.unlearn.step import Step


def loss(step: Step, settings: ForgetSettings) -> Float[Tensor, ""]:
    return step.student.parts_loss(step.retain.pixels, step.retain.captions)
