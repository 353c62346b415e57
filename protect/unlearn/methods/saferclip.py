"""SafeR-CLIP (Yousaf et al., AAAI 2026, arXiv 2511.16743): unsafe inputs go to the nearest safe item, not one twin.

Forget pairs are the unsafe ones, retain pairs safe ones. Three things differ from Safe-CLIP. An unsafe input's target
is the safe item of the batch that the frozen original finds closest to it, so that as little as possible is moved.
In the other modality the only wrong answer is the input's own unsafe counterpart: other safe items may be right too.
And easy inputs, those close to their target, come first; the others join as training goes on.
Of the paper only the abstract and summaries were seen: its three ideas are the paper's, the formulas are ours. Ours,
off by default: `rivals`, the unsafe counterpart where the student has it now is a wrong answer too.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from protect.settings.unlearn import ForgetSettings
from protect.types import Features
from protect.unlearn.methods.safeclip import apart
from protect.unlearn.step import Step

FIRST = 0.3  # share of the unsafe inputs, the easiest ones, that training begins with


class Target(NamedTuple):
    """For each unsafe input the safe item of the batch that is closest, and which inputs take part by now."""

    nearest: Int[Tensor, " forget"]
    easy: Int[Tensor, " some"]


def loss(step: Step, settings: ForgetSettings) -> Float[Tensor, ""]:
    unsafe, safe, scale = step.forget, step.retain, step.reference.scale.detach()
    by_text = target(unsafe.texts_before, safe.texts_before, step.progress)
    by_image = target(unsafe.images_before, safe.images_before, step.progress)
    own_images, own_texts = ([part] for part in (unsafe.images_before, unsafe.texts_before))
    if settings.rivals:
        own_images.append(unsafe.images.detach())
        own_texts.append(unsafe.texts.detach())
    redirect = (
        relative(unsafe.texts, safe.images_before, own_images, by_text, scale),
        relative(unsafe.images, safe.texts_before, own_texts, by_image, scale),
        apart(unsafe.texts[by_text.easy], safe.texts_before[by_text.nearest[by_text.easy]]),
        apart(unsafe.images[by_image.easy], safe.images_before[by_image.nearest[by_image.easy]]),
    )
    preserve = apart(safe.texts, safe.texts_before) + apart(safe.images, safe.images_before)
    return sum(redirect, redirect[0] * 0) / len(redirect) + settings.preserve * preserve / 2


def target(unsafe: Features, safe: Features, progress: float) -> Target:
    """Targets by the original's similarities within one modality; `progress` goes from 0 to 1."""
    closeness, nearest = (unsafe @ safe.T).max(dim=1)
    share = FIRST + (1 - FIRST) * min(1.0, max(0.0, progress))
    count = max(1, math.ceil(share * len(unsafe)))
    return Target(nearest, closeness.argsort(descending=True)[:count])


def relative(
    student: Features, safe: Features, counterparts: Sequence[Features], target: Target, scale: Float[Tensor, ""]
) -> Float[Tensor, ""]:
    """Each unsafe input's choice between its safe target and its own unsafe counterpart, in the other modality.

    counterparts: the same items as one model or several embed them; the closest is the wrong answer.
    """
    own, chosen = student[target.easy], target.nearest[target.easy]
    right = (own * safe[chosen]).sum(dim=-1)
    wrong = torch.stack([(own * each[target.easy]).sum(dim=-1) for each in counterparts]).amax(dim=0)
    return F.softplus(scale * (wrong - right)).mean()
