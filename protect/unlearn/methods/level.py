"""Levelled ascent (ours): the loss of each forget pair rises to where unseen pairs have it, and stays there.

L = w_1 |l - l_o - rise| + w_2 L_steady, where l is a forget pair's contrastive loss in a batch, l_o the frozen
original's, and `rise` how much higher the original's loss is on unseen pairs of the kind: to a retrained model these
pairs are unseen ones. |.| is quadratic within one nat. L_steady is 1 - cosine of the retain pairs' embeddings now and
before: their contrastive loss cannot hold a model that knows them by heart, for it is near zero anyway.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from protect.settings.unlearn import ForgetSettings
from protect.unlearn.head import Clip
from protect.unlearn.methods.ga import pair_losses
from protect.unlearn.methods.safeclip import apart
from protect.unlearn.pairs import Pairs
from protect.unlearn.step import Step
from protect.unlearn.task import Task


def loss(step: Step, settings: ForgetSettings) -> Float[Tensor, ""]:
    rise = step.prepared if settings.raise_by is None else settings.raise_by
    if rise is None:
        raise ValueError(
            "level: expected unseen pairs of the kind to forget, found none; name them with --forget-test, or give "
            "--raise-by"
        )
    forget, retain = step.forget, step.retain
    now = pair_losses(step.student.logits(forget.images, forget.texts))
    before = pair_losses(step.reference.logits(forget.images_before, forget.texts_before))
    away = F.smooth_l1_loss(now, before + rise)
    steady = apart(retain.images, retain.images_before) + apart(retain.texts, retain.texts_before)
    return settings.lift * away + settings.steady * steady


@torch.no_grad()
def prepare(original: Clip, task: Task, batch: int, generator: torch.Generator) -> float | None:
    """How much higher the original's loss is on unseen pairs than on the forget pairs; None without unseen pairs."""
    if task.held_out is None:
        return None
    return max(0.0, mean_loss(original, task.held_out, batch) - mean_loss(original, task.forget, batch))


def mean_loss(model: Clip, pairs: Pairs, batch: int) -> float:
    """Of whole batches in the order of the pairs, at most ten."""
    losses = []
    for rows in torch.arange(len(pairs)).split(batch)[:10]:
        if len(rows) == min(batch, len(pairs)):  # a smaller batch has fewer wrong answers
            images = model.images(pairs.images(rows, model.towers.device))
            texts = model.texts([pairs.captions[i][0] for i in rows.tolist()])
            losses.append(pair_losses(model.logits(images, texts)).mean())
    return torch.stack(losses).mean().item()
