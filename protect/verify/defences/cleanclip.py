"""CleanCLIP: pictures among pictures and captions among captions, beside the contrast between the two."""

import torch

from protect.clip.losses import clip_loss
from protect.types import Features
from protect.verify.defences.base import Given, Lesson
from protect.verify.defences.strong_augment import changed_captions, strong_images


class CleanClip(Lesson):
    """The plain loss plus the mean of the two in-modal ones, weight 1 (Bansal et al. 2023, arXiv 2303.03323).

    In-modal: a picture, or a caption, and an augmented version of it are a pair. Costs twice the plain step.
    """

    def loss(self, given: Given) -> torch.Tensor:
        images, texts = self.model.images(given.images), self.text(given)
        return clip_loss(images, texts, self.model.scale) + self.in_modal(given, images, texts)

    def in_modal(self, given: Given, images: Features, texts: Features) -> torch.Tensor:
        """The mean of both modalities' losses against their own augmented versions."""
        other_images = self.model.images(strong_images(given.images))
        other_texts = self.model.text(self.model.rows(changed_captions(given.captions)))
        scale = self.model.scale
        return (clip_loss(images, other_images, scale) + clip_loss(texts, other_texts, scale)) / 2
