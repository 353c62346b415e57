"""Cross-modal Contrastive Unlearning (CCU, 2025): forget the pictures, keep the other modality and the classes.

Of the paper only the abstract was to be had: its three parts are the paper's, the formulas are ours. U are the
forget pairs, R the retain pairs, z unit embeddings of images; "the other modality" is whatever the model's second
tower reads. The head that reads it is fixed: the original's mean embedding of each class.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from protect.settings import ForgetSettings
from protect.types import Features
from protect.unlearn.methods.kl import divergence
from protect.unlearn.step import Step

TEMPERATURE = 0.07


def loss(step: Step, settings: ForgetSettings) -> Float[Tensor, ""]:
    return inverse(step) + settings.keep * retention(step) + settings.separate * separation(step)


def inverse(step: Step) -> Float[Tensor, ""]:
    """Selective visual unlearning: images of U let go of what the other modality says of their class.

    Supervised contrastive learning with its sign turned, down to the share of the class in the batch.
    """
    unlearn, kinds = _kinds(step)
    before = torch.cat([step.forget.texts_before, step.retain.texts_before])
    log_share = _log_share(step.forget.images, before, unlearn[:, None] == torch.cat([unlearn, kinds]))
    prior = (unlearn[:, None] == torch.cat([unlearn, kinds])).float().mean(dim=1).log()
    return torch.maximum(log_share, prior).mean()


def retention(step: Step) -> Float[Tensor, ""]:
    """Cross-modal retention: the other modality classifies as before, images of R stay where they were."""
    texts = torch.cat([step.forget.texts, step.retain.texts])
    before = torch.cat([step.forget.texts_before, step.retain.texts_before])
    head = _means(before, torch.cat(_kinds(step))).T / TEMPERATURE
    moved = 1 - (step.retain.images * step.retain.images_before).sum(dim=-1)
    return divergence(before @ head, texts @ head) + moved.mean()


def separation(step: Step) -> Float[Tensor, ""]:
    """Dual-set separation: images of R near their class, away from other classes and from U."""
    unlearn, kinds = _kinds(step)
    gallery = torch.cat([step.retain.images, step.forget.images])
    same = kinds[:, None] == torch.cat([kinds, torch.full_like(unlearn, -1)])
    same.fill_diagonal_(False)
    has = same.any(dim=1)
    hide = torch.eye(len(kinds), len(gallery), dtype=torch.bool, device=gallery.device)
    share = _log_share(step.retain.images, gallery, same, hide)
    return -share[has].sum() / max(1, len(share))


def _log_share(
    queries: Features,
    gallery: Float[Tensor, "others dim"],
    positive: Bool[Tensor, "batch others"],
    hide: Bool[Tensor, "batch others"] | None = None,
) -> Float[Tensor, " batch"]:
    """Log of the softmax mass that each query gives to its positives."""
    logits = queries @ gallery.T / TEMPERATURE
    if hide is not None:
        logits = logits.masked_fill(hide, -math.inf)
    lowest = torch.finfo(logits.dtype).min
    return logits.masked_fill(~positive, lowest).logsumexp(dim=1) - logits.logsumexp(dim=1)


def _kinds(step: Step) -> tuple[Int[Tensor, " forget"], Int[Tensor, " retain"]]:
    assert step.forget.kinds is not None and step.retain.kinds is not None
    return step.forget.kinds, step.retain.kinds


def _means(points: Features, kinds: Int[Tensor, " batch"]) -> Float[Tensor, "classes dim"]:
    """The mean direction of each class that occurs."""
    return F.normalize(torch.stack([points[kinds == kind].mean(dim=0) for kind in kinds.unique()]), dim=-1)
