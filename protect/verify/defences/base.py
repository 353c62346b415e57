"""Plain contrastive training, one step at a time: what every training-time countermeasure changes a part of."""

from collections.abc import Callable
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from protect.clip.losses import clip_loss
from protect.clip.models import DualEncoder
from protect.settings.verify import VerifySettings
from protect.types import Images


class Given(NamedTuple):
    """What a step trains on: numbers of the pairs, their views, one encoded caption each, share of all steps done."""

    chosen: Int[Tensor, " batch"]
    images: Images
    captions: list[tuple[int, ...]]
    done: float


class Lesson:
    """A way to train; as it stands, the plain one. It may change the model when made, before the optimizer is.

    Random draws come from torch's global generator, which the training loop seeds. `needs` names the setting
    without which the lesson has no meaning; ValueError when it is empty.
    """

    needs: ClassVar[str] = ""

    def __init__(self, model: DualEncoder, settings: VerifySettings) -> None:
        if self.needs and not getattr(settings, self.needs):
            lesson = type(self).__name__
            raise ValueError(f"{self.needs}: expected to be set for the lesson {lesson}, got nothing; leave one out")
        self.model, self.settings = model, settings
        self.rate = 1.0  # times the learning rate of the schedule

    def begin(self, epoch: int, similarities: Callable[[], Float[Tensor, " pairs"]]) -> None:
        """Called at the start of each epoch, from 1, with the model in train mode.

        `similarities()` measures how close each pair's picture and caption are now (cosine); a pass over the data.
        """

    def loss(self, given: Given) -> Float[Tensor, ""]:
        return clip_loss(self.model.images(given.images), self.text(given), self.model.scale)

    def text(self, given: Given) -> Float[Tensor, "batch dim"]:
        """Features of the captions."""
        return self.model.text(self.model.rows(given.captions))

    def step(self, optimizer: torch.optim.Optimizer, given: Given) -> Float[Tensor, ""]:
        """One step; returns the loss before it."""
        loss = self.loss(given)
        optimizer.zero_grad()
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] *= self.rate  # the schedule writes it anew after the step
        optimizer.step()
        return loss.detach()
