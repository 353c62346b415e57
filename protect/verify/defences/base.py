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


class StepInputs(NamedTuple):
    """What a step trains on: numbers of the pairs, their views, one encoded caption each, share of all steps done."""

    chosen: Int[Tensor, " batch"]
    images: Images
    captions: list[tuple[int, ...]]
    done: float


class Defence:
    """A way to train; as it stands, the plain one. It may change the model when made, before the optimizer is.

    Random draws come from torch's global generator, which the training loop seeds. `needs` names the setting
    without which the defence has no meaning; ValueError when it is not set.
    """

    needs: ClassVar[str | None] = None

    def __init__(self, model: DualEncoder, settings: VerifySettings) -> None:
        if self.needs is not None and getattr(settings, self.needs) is None:
            defence = type(self).__name__
            raise ValueError(
                f"{self.needs}: expected to be set for the defence {defence}, got nothing; leave one out"
            )
        self.model, self.settings = model, settings
        self.rate = 1.0  # times the learning rate of the schedule

    def begin(self, epoch: int, similarities: Callable[[], Float[Tensor, " pairs"]]) -> None:
        """Called at the start of each epoch, from 1, with the model in train mode.

        `similarities()` measures how close each pair's picture and caption are now (cosine); a pass over the data.
        """

    def loss(self, inputs: StepInputs) -> Float[Tensor, ""]:
        return clip_loss(self.model.images(inputs.images), self.text(inputs), self.model.scale)

    def text(self, inputs: StepInputs) -> Float[Tensor, "batch dim"]:
        """Features of the captions."""
        return self.model.text(self.model.rows(inputs.captions))

    def step(self, optimizer: torch.optim.Optimizer, inputs: StepInputs) -> Float[Tensor, ""]:
        """One step; returns the loss before it."""
        loss = self.loss(inputs)
        optimizer.zero_grad()
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] *= self.rate  # the schedule writes it anew after the step
        optimizer.step()
        return loss.detach()
