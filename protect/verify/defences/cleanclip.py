"""CleanCLIP: pictures among pictures and captions among captions, beside the contrast between the two."""

import torch

from protect.clip.losses import clip_loss
from protect.types import Features
from protect.verify.defences.base import Defence, StepInputs
from protect.verify.defences.strong_augment import changed_captions, strong_images


class CleanClip(Defence):
    """The plain loss plus the mean of the two in-modal ones, weight 1 (Bansal et al. 2023, arXiv 2303.03323).

    In-modal: a picture, or a caption, and an augmented version of it are a pair. Costs twice the plain step.
    """

    def loss(self, inputs: StepInputs) -> torch.Tensor:
        images, texts = self.model.images(inputs.images), self.text(inputs)
        return clip_loss(images, texts, self.model.scale) + self.in_modal(inputs, images, texts)

    def in_modal(self, inputs: StepInputs, images: Features, texts: Features) -> torch.Tensor:
        """The mean of both modalities' losses against their own augmented versions."""
        other_images = self.model.images(strong_images(inputs.images))
        other_texts = self.model.text(self.model.rows(changed_captions(inputs.captions)))
        scale = self.model.scale
        return (clip_loss(images, other_images, scale) + clip_loss(texts, other_texts, scale)) / 2
