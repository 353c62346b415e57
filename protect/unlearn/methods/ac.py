"""Alignment Calibration (Wang et al., TMLR 2025, "MUC") for CLIP: forgetting that the data's owner can see.

L = L_retain + eps (alpha L_neg + beta L_pos + gamma L_perf), similarities divided by the temperature; in
hyperbolic models similarity is the negative distance.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from protect.settings.unlearn import ForgetSettings
from protect.unlearn.step import Step


def loss(step: Step, settings: ForgetSettings) -> Float[Tensor, ""]:
    weight = step.share if settings.calibrate is None else settings.calibrate
    calibration = (
        settings.wrong * negative(step) + settings.right * positive(step) + settings.spread * performance(step)
    )
    return retention(step) + weight * calibration


def retention(step: Step) -> Float[Tensor, ""]:
    """L_retain: contrastive loss of the retain pairs against everything in the batch."""
    count = len(step.retain)
    match = torch.arange(count, device=step.union.device)
    return (F.cross_entropy(step.union[:count], match) + F.cross_entropy(step.union.T[:count], match)) / 2


def negative(step: Step) -> Float[Tensor, ""]:
    """L_neg: raises the similarity of wrong forget pairs; texts of the same words are not wrong."""
    count = len(step.forget)
    return -(_own(step) * step.differ()).sum() / count**2


def positive(step: Step) -> Float[Tensor, ""]:
    """L_pos: lowers the similarity of the true forget pairs."""
    return _own(step).diagonal().mean()


def performance(step: Step) -> Float[Tensor, ""]:
    """L_perf: the denominator of the contrastive loss, keeps forget pairs spread over the space."""
    first, pairs = len(step.retain), len(step.union)
    both = step.union[first:].logsumexp(dim=1) + step.union.T[first:].logsumexp(dim=1)
    return both.mean() / 2 - math.log(pairs)


def _own(step: Step) -> Float[Tensor, "forget forget"]:
    """Logits among the forget pairs."""
    return step.union[len(step.retain) :, len(step.retain) :]
