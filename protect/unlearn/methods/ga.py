"""Gradient ascent (GA) on the contrastive loss of the forget pairs.

Negatives are the texts and images of the whole batch, retain pairs included: forget pairs that share a caption
would have none. Ascent has no bound of its own: a pair's loss counts only until it is `floor` nats above that of
guessing.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from protect.settings import ForgetSettings
from protect.unlearn.step import Step


def loss(step: Step, settings: ForgetSettings) -> Float[Tensor, ""]:
    return -forget_loss(step, settings.floor)


def forget_loss(step: Step, floor: float) -> Float[Tensor, ""]:
    """Mean contrastive loss of the forget pairs, each capped at `floor` nats above chance."""
    first, pairs = len(step.retain), len(step.union)
    own = torch.arange(first, pairs, device=step.union.device)
    rows = [F.cross_entropy(logits[first:], own, reduction="none") for logits in (step.union, step.union.T)]
    return torch.stack(rows).clamp(max=math.log(pairs) + floor).mean()
