"""l1-sparse: fine-tuning under a penalty on all weights (Jia et al. 2023), so that what is not rehearsed fades."""

import torch
from jaxtyping import Float
from torch import Tensor

from protect.settings.unlearn import ForgetSettings
from protect.unlearn.methods import finetune
from protect.unlearn.step import Step


def loss(step: Step, settings: ForgetSettings) -> Float[Tensor, ""]:
    weights = [p.abs().sum() for p in step.student.parameters() if p.requires_grad]
    return finetune.loss(step, settings) + settings.sparse * torch.stack(weights).sum()
