"""Adversarial training: a model that small noise cannot fool learns less from small noise."""

import torch

from protect.clip.losses import clip_loss
from protect.types import Features, Images
from protect.verify.defences.base import Defence, StepInputs


class Adversarial(Defence):
    """Each step first moves the pictures within epsilon to raise the loss (PGD; Madry et al. 2018), then learns.

    The radius is half of the usual protection's, as in published tests of unlearnable examples (Fu et al. 2022).
    Costs three forward and backward passes of the image tower a step beside the plain one: about three times
    the time of plain training.
    """

    epsilon, step_size, steps = 4 / 255, 2 / 255, 3

    def loss(self, inputs: StepInputs) -> torch.Tensor:
        texts = self.text(inputs)
        images = self.moved(inputs.images, texts.detach())
        return clip_loss(self.model.images(images), texts, self.model.scale)

    def moved(self, images: Images, texts: Features) -> Images:
        """The pictures, within epsilon and the range of pixels, where the loss is greater."""
        noise = torch.empty_like(images).uniform_(-self.epsilon, self.epsilon)
        for _ in range(self.steps):
            point = (images + noise).clamp(0, 1).requires_grad_()
            loss = clip_loss(self.model.images(point), texts, self.model.scale.detach())
            gradient = torch.autograd.grad(loss, point)[0]
            noise = (noise + self.step_size * gradient.sign()).clamp(-self.epsilon, self.epsilon)
        return (images + noise).clamp(0, 1)
