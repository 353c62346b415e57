"""CLIPErase (Yang et al., ACL 2025): forgetting, retention and consistency modules.

L = lambda1 L_RM + lambda2 L_FM + lambda3 L_CM. What the paper calls the unimodal output distributions of L_CM can
be read in two ways, `consistency`: "batch", each modality's softmax over similarities in the batch, or
"coordinates", its softmax over the coordinates of the embedding.
"""

from jaxtyping import Float
from torch import Tensor

from protect.settings.unlearn import ForgetSettings
from protect.unlearn.methods import finetune
from protect.unlearn.methods.kl import batch_divergence, divergence
from protect.unlearn.step import Step


def loss(step: Step, settings: ForgetSettings) -> Float[Tensor, ""]:
    consistency = {"batch": batch_divergence, "coordinates": coordinate_divergence}[settings.consistency]
    return (
        settings.rehearse * finetune.loss(step, settings)
        + settings.erase * forgetting(step)
        + settings.consist * consistency(step)
    )


def forgetting(step: Step) -> Float[Tensor, ""]:
    """L_FM: mean cosine of the forget pairs; at 0 a pair is forgotten, below it would be anti-aligned."""
    return step.student.matched(step.forget.images, step.forget.texts).clamp(min=0).mean()


def coordinate_divergence(step: Step) -> Float[Tensor, ""]:
    """KL(original || student) of the retain embeddings' softmax over coordinates, images plus texts."""
    retain = step.retain
    return divergence(retain.images_before, retain.images) + divergence(retain.texts_before, retain.texts)
