"""Contrastive losses as pure functions of features."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from protect.types import Features


def clip_loss(images: Features, texts: Features, scale: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """Symmetric cross entropy of a batch's similarities; pair i is the match (Radford et al. 2021; MEM eq. 1)."""
    return clip_rows(images, texts, scale).mean()


def clip_rows(images: Features, texts: Features, scale: Float[Tensor, ""]) -> Float[Tensor, " batch"]:
    """The loss of each pair of the batch, both directions averaged."""
    logits = scale * images @ texts.T
    match = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, match, reduction="none") + F.cross_entropy(logits.T, match, reduction="none")) / 2
