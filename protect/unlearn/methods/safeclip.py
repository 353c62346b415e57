"""Safe-CLIP (Poppi et al., ECCV 2024): unsafe inputs are taken for their safe twins, safe ones stay.

Forget pairs are the unsafe ones (v*, t*), retain pairs their safe twins (v, t), row by row. V, T are the student's
towers, V0, T0 the frozen original's. The weights are those of the release, by their sum. The release fixes the
scale at 100, its model's own; here it is the original's, since too sharp a contrast collapses a softer model.
Ours, off by default: `preserve` and `rivals`. The paper's redirection chooses among safe items alone, where nothing
says that an unsafe input should leave its own unsafe caption; with `rivals` unsafe items, where the student has them,
are wrong answers too.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from protect.settings.unlearn import ForgetSettings
from protect.types import Features
from protect.unlearn.step import Step

REDIRECT = (0.25, 0.5, 0.1, 0.2)
PRESERVE = (0.1, 0.1)
ALIGN = (0.25, 0.25)


def loss(step: Step, settings: ForgetSettings) -> Float[Tensor, ""]:
    unsafe, safe, scale = step.forget, step.retain, step.reference.scale.detach()
    none = safe.texts_before[:0]
    rivals = (unsafe.images.detach(), unsafe.texts.detach()) if settings.rivals else (none, none)
    weights = (*REDIRECT, *PRESERVE, *(settings.preserve * weight for weight in ALIGN))
    terms = (
        across(unsafe.texts, safe.images_before, scale, rivals[0]),  # redirection, to the other modality
        across(unsafe.images, safe.texts_before, scale, rivals[1]),
        apart(unsafe.texts, safe.texts_before),  # redirection, within the modality
        apart(unsafe.images, safe.images_before),
        apart(safe.texts, safe.texts_before),  # preservation
        apart(safe.images, safe.images_before),
        across(safe.texts, safe.images_before, scale, none),
        across(safe.images, safe.texts_before, scale, none),
    )
    return sum((w * term for w, term in zip(weights, terms, strict=True)), terms[0] * 0) / sum(weights)


def across(
    student: Features, original: Features, scale: Float[Tensor, ""], rivals: Float[Tensor, "others dim"]
) -> Float[Tensor, ""]:
    """Contrastive loss between the student's embeddings of one modality and the original's of the other.

    rivals: further wrong answers of the other modality.
    """
    match = torch.arange(len(student), device=student.device)
    logits = scale * student @ torch.cat([original, rivals]).T
    return (F.cross_entropy(logits, match) + F.cross_entropy(logits[:, : len(student)].T, match)) / 2


def apart(student: Features, original: Features) -> Float[Tensor, ""]:
    """Mean 1 - cosine of the student's and the original's embeddings of one modality."""
    return (1 - (student * original).sum(dim=-1)).mean()
