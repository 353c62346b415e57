"""UEraser: learn from the augmentation that the model finds hardest."""

import torch

from protect.clip.losses import clip_loss, clip_rows
from protect.types import Features, Images
from protect.verify.defences.base import Defence, StepInputs
from protect.verify.defences.strong_augment import strong_images


class UEraser(Defence):
    """Every picture is augmented `tries` times; the version with the greatest loss of its own pair is learned.

    Qin et al. 2023, arXiv 2303.15127, in its strongest form (the search at every step). Costs `tries` forward
    passes of the image tower a step beside the plain one.
    """

    tries = 5

    def loss(self, inputs: StepInputs) -> torch.Tensor:
        texts = self.text(inputs)
        images = self.hardest(inputs.images, texts.detach())
        return clip_loss(self.model.images(images), texts, self.model.scale)

    @torch.no_grad()
    def hardest(self, images: Images, texts: Features) -> Images:
        """For each picture, of its augmented versions the one with the greatest loss."""
        versions = [strong_images(images) for _ in range(self.tries)]
        if self.tries == 1:
            return versions[0]
        losses = torch.stack([clip_rows(self.model.images(v), texts, self.model.scale) for v in versions])
        return torch.stack(versions)[losses.argmax(0), torch.arange(len(images), device=images.device)]


class LightUEraser(UEraser):
    """UEraser-Lite: one strong random augmentation, without the search; costs next to nothing more than plain."""

    tries = 1
