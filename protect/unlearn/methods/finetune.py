"""Fine-tuning on the retain pairs alone: forgetting by neglect, and what every other method must beat."""

from jaxtyping import Float
from torch import Tensor

from protect.settings.unlearn import ForgetSettings
from protect.unlearn.step import Step


def loss(step: Step, settings: ForgetSettings) -> Float[Tensor, ""]:
    return step.student.training_loss(step.retain.images, step.retain.texts)
