"""Gradient ascent (GA) on the contrastive loss of the forget pairs, among themselves: L = -L_C(D_f).

Ascent has no bound of its own: a pair's loss counts only until it is `floor` nats above that of guessing. Where all
forget pairs share one caption an image cannot be wrong about it; only the caption's choice among the images is
driven apart, which hurts the model more than its knowledge of the concept.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from protect.settings.unlearn import ForgetSettings
from protect.unlearn.step import Step


def loss(step: Step, settings: ForgetSettings) -> Float[Tensor, ""]:
    return -forget_loss(step, settings.floor)


def forget_loss(step: Step, floor: float) -> Float[Tensor, ""]:
    """Mean contrastive loss of the forget pairs, each capped at `floor` nats above chance."""
    logits = step.student.logits(step.forget.images, step.forget.texts)
    return pair_losses(logits).clamp(max=math.log(len(logits)) + floor).mean()


def pair_losses(logits: Float[Tensor, "batch batch"]) -> Float[Tensor, "ways batch"]:
    """Contrastive loss of each pair of a batch, from image to text and the reverse."""
    match = torch.arange(len(logits), device=logits.device)
    return torch.stack([F.cross_entropy(each, match, reduction="none") for each in (logits, logits.T)])
