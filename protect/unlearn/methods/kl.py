"""KL: ascent on the forget pairs while the retain pairs keep the original's outputs.

Outputs are the distributions over the batch, both ways; KL(original || student).
"""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from protect.settings.unlearn import ForgetSettings
from protect.unlearn.methods import ga
from protect.unlearn.step import Step


def loss(step: Step, settings: ForgetSettings) -> Float[Tensor, ""]:
    return batch_divergence(step) - ga.forget_loss(step, settings.floor)


def batch_divergence(step: Step) -> Float[Tensor, ""]:
    """KL(original || student) of the retain pairs' similarities in the batch, image to text plus text to image."""
    retain = step.retain
    before = step.reference.logits(retain.images_before, retain.texts_before)
    after = step.student.logits(retain.images, retain.texts)
    return divergence(before, after) + divergence(before.T, after.T)


def divergence(before: Float[Tensor, "batch outputs"], after: Float[Tensor, "batch outputs"]) -> Float[Tensor, ""]:
    """Mean over rows of KL(softmax(before) || softmax(after))."""
    return F.kl_div(after.log_softmax(dim=1), before.log_softmax(dim=1), reduction="batchmean", log_target=True)
