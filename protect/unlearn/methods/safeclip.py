"""Safe-CLIP (Poppi et al., ECCV 2024): unsafe inputs are taken for their safe twins, safe ones stay.

Forget pairs are the unsafe ones (v*, t*), retain pairs their safe twins (v, t), row by row. V, T are the student's
towers, V0, T0 the frozen original's. The weights are those of the release, by their sum. The release fixes the
scale at 100, its model's own; here it is the original's, since too sharp a contrast collapses a softer model.
"""

from jaxtyping import Float
from torch import Tensor

from protect.settings import ForgetSettings
from protect.types import Features
from protect.unlearn.model import contrast
from protect.unlearn.step import Step

WEIGHTS = (0.25, 0.5, 0.1, 0.2, 0.1, 0.1, 0.25, 0.25)


def loss(step: Step, settings: ForgetSettings) -> Float[Tensor, ""]:
    unsafe, safe, scale = step.forget, step.retain, step.reference.scale.detach()
    terms = (
        across(unsafe.texts, safe.images_before, scale),  # redirection, to the other modality
        across(unsafe.images, safe.texts_before, scale),
        apart(unsafe.texts, safe.texts_before),  # redirection, within the modality
        apart(unsafe.images, safe.images_before),
        apart(safe.texts, safe.texts_before),  # preservation
        apart(safe.images, safe.images_before),
        across(safe.texts, safe.images_before, scale),
        across(safe.images, safe.texts_before, scale),
    )
    return sum((w * term for w, term in zip(WEIGHTS, terms, strict=True)), terms[0] * 0) / sum(WEIGHTS)


def across(student: Features, original: Features, scale: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """Contrastive loss between the student's embeddings of one modality and the original's of the other."""
    return contrast(scale * student @ original.T)


def apart(student: Features, original: Features) -> Float[Tensor, ""]:
    """Mean 1 - cosine of the student's and the original's embeddings of one modality."""
    return (1 - (student * original).sum(dim=-1)).mean()
