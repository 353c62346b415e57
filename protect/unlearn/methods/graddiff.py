"""GradDiff, also NegDiff or NegGrad: descent on the retain pairs, ascent on the forget pairs, in one step."""

from jaxtyping import Float
from torch import Tensor

from protect.settings.unlearn import ForgetSettings
from protect.unlearn.methods import finetune, ga
from protect.unlearn.step import Step


def loss(step: Step, settings: ForgetSettings) -> Float[Tensor, ""]:
    return finetune.loss(step, settings) - ga.forget_loss(step, settings.floor)
