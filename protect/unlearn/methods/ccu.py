"""Cross-modal Contrastive Unlearning (CCU, 2025): forget the pictures, keep the other modality and the classes.

Of the paper only the abstract was to be had: its three parts are the paper's, the formulas are ours. U are the
forget pairs, R the retain pairs, z unit embeddings of images; "the other modality" is whatever the model's second
tower reads. That tower is not trained, so that what it knows is kept to the bit; its mean embedding of each class is
what the images are read by.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from protect.settings.unlearn import ForgetSettings
from protect.types import Features
from protect.unlearn.step import Step

TEMPERATURE = 0.07
NAMED = 0.01  # temperature at which the largest share is nearly all of it


def loss(step: Step, settings: ForgetSettings) -> Float[Tensor, ""]:
    forget = inverse(step) + settings.balance * balance(step)
    return forget + settings.keep * retention(step) + settings.separate * separation(step)


def inverse(step: Step) -> Float[Tensor, ""]:
    """Selective visual unlearning: to an image of U every class is as good a match as its own.

    KL(uniform || classes of the image): 0 where the image says nothing of its class, which is chance. The
    contrastive loss with its sign turned would go on to where the own class is the last one to be named.
    """
    log_share = (step.forget.images @ heads(step).T / TEMPERATURE).log_softmax(dim=1)
    return -log_share.mean() - math.log(log_share.shape[1])


def balance(step: Step) -> Float[Tensor, ""]:
    """Among images of U every class is named as often as any other: KL(uniform || mean choice of the batch).

    Shares that are nearly equal still name one class, and without this the same one for all images.
    """
    choice = (step.forget.images @ heads(step).T / NAMED).softmax(dim=1).mean(dim=0)
    return -choice.clamp(min=torch.finfo(choice.dtype).tiny).log().mean() - math.log(len(choice))


def retention(step: Step) -> Float[Tensor, ""]:
    """Cross-modal retention: images of R stay where they were, beside what the other modality says of them."""
    return (1 - (step.retain.images * step.retain.images_before).sum(dim=-1)).mean()


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


def heads(step: Step) -> Float[Tensor, "classes dim"]:
    """What the other modality says of each class of the batch: the mean direction of its embeddings."""
    points = torch.cat([step.forget.texts_before, step.retain.texts_before])
    kinds = torch.cat(_kinds(step))
    return F.normalize(torch.stack([points[kinds == kind].mean(dim=0) for kind in kinds.unique()]), dim=-1)


def _log_share(
    queries: Features,
    gallery: Float[Tensor, "others dim"],
    positive: Bool[Tensor, "batch others"],
    hide: Bool[Tensor, "batch others"],
) -> Float[Tensor, " batch"]:
    """Log of the softmax mass that each query gives to its positives."""
    logits = (queries @ gallery.T / TEMPERATURE).masked_fill(hide, -math.inf)
    lowest = torch.finfo(logits.dtype).min
    return logits.masked_fill(~positive, lowest).logsumexp(dim=1) - logits.logsumexp(dim=1)


def _kinds(step: Step) -> tuple[Int[Tensor, " forget"], Int[Tensor, " retain"]]:
    assert step.forget.kinds is not None and step.retain.kinds is not None
    return step.forget.kinds, step.retain.kinds
