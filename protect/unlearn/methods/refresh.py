"""Refreshing (ours): what the image tower knows by heart is lost, and what it understands is trained on.

The image tower is trained at a large step size on the retain pairs, each picture moved by a few pixels, against the
captions' embeddings as they were: L_C(shifted images, original's texts). A picture that is known by heart is known
pixel by pixel, so that this knowledge fades, of the forget pairs and of the retain pairs alike, while what helps with
unseen pictures is learned from the moved ones. The forget pairs are not shown at all. The text tower stays: captions
are put together from known words, so that it has little to know by heart. Norms follow the moved pictures: with the
statistics of the old weights a large step size destroys the model.
"""

from jaxtyping import Float
from torch import Tensor, nn

from protect.settings.unlearn import ForgetSettings
from protect.unlearn.head import Clip
from protect.unlearn.shifts import at_random
from protect.unlearn.step import Step


def loss(step: Step, settings: ForgetSettings) -> Float[Tensor, ""]:
    retain = step.retain
    images = step.student.images(at_random(retain.pixels, step.random))
    return step.student.training_loss(images, retain.texts_before)


def freeze(student: Clip) -> None:
    """Leaves only the image tower to be trained."""
    tensors = [tensor for tensor in image_tower(student.towers.model).parameters() if tensor.requires_grad]
    student.requires_grad_(False)
    for tensor in tensors:
        tensor.requires_grad_(True)


def image_tower(model: nn.Module) -> nn.Module:
    """That of an open_clip or a Hugging Face model."""
    tower = getattr(model, "visual", None) or getattr(model, "vision_model", None)
    assert isinstance(tower, nn.Module)
    return tower
