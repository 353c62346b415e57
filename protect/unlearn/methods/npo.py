"""NPO (Zhang et al. 2024, "Negative Preference Optimization") for CLIP: an ascent that fades as a pair is forgotten.

L = L_C(D_r) + w (2 / beta) mean log(1 + (p / p_o)^beta), where p is the probability that a batch gives to a forget
pair's own partner, p_o the frozen original's. Unlike gradient ascent it is bounded, and has little to gain below p_o.
"""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from protect.settings.unlearn import ForgetSettings
from protect.unlearn.methods import finetune
from protect.unlearn.methods.ga import pair_losses
from protect.unlearn.step import Step


def loss(step: Step, settings: ForgetSettings) -> Float[Tensor, ""]:
    forget = step.forget
    now = pair_losses(step.student.logits(forget.images, forget.texts))
    before = pair_losses(step.reference.logits(forget.images_before, forget.texts_before))
    ascent = 2 / settings.bound * F.softplus(settings.bound * (before - now)).mean()
    return finetune.loss(step, settings) + settings.repel * ascent
