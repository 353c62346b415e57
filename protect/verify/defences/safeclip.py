"""SafeCLIP: warm up each modality alone, then contrast only the pairs that already agree."""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from protect.clip.losses import clip_loss
from protect.clip.models import DualEncoder
from protect.settings.verify import VerifySettings
from protect.verify.defences.base import StepInputs
from protect.verify.defences.cleanclip import CleanClip

WARM_UP = 0.2  # share of the epochs; then one epoch of contrast at a low rate, then the split
LOW_RATE = 0.01
SURE = 0.9  # probability of the closer of the two groups, from which a pair is safe
GROWTH = 0.01  # share of all pairs that joins the safe ones after each epoch
ROUNDS = 200  # of expectation and maximisation
TINY = 1e-12


class SafeClip(CleanClip):
    """Yang, Gao, Mirzasoleiman 2024, arXiv 2310.05862, at the scale of this training.

    In-modal learning only; one epoch of contrast at a hundredth of the rate; then contrast on the safe pairs and
    in-modal learning on the others, safe meaning that a mixture of two Gaussians puts the pair's similarity into
    the closer group. The safe part grows after every epoch. Without the paper's pool of nearest neighbours.
    """

    def __init__(self, model: DualEncoder, settings: VerifySettings) -> None:
        super().__init__(model, settings)
        self.warm_up = int(WARM_UP * settings.epochs)
        self.phase = "in-modal"
        self.safe: Bool[Tensor, " pairs"] | None = None

    def begin(self, epoch: int, similarities: Callable[[], Float[Tensor, " pairs"]]) -> None:
        self.phase = "in-modal" if epoch <= self.warm_up else "slow" if epoch == self.warm_up + 1 else "split"
        self.rate = LOW_RATE if self.phase == "slow" else 1.0
        if self.phase == "split":
            cosines = similarities().cpu()
            if self.safe is None:
                self.safe = closer_group(cosines)
            else:
                self.safe = largest(cosines, int(self.safe.sum()) + round(GROWTH * len(cosines)))

    def loss(self, inputs: StepInputs) -> torch.Tensor:
        images, texts = self.model.images(inputs.images), self.text(inputs)
        if self.phase == "slow":
            return clip_loss(images, texts, self.model.scale)
        if self.safe is None:
            return self.in_modal(inputs, images, texts)
        safe = self.safe[inputs.chosen.cpu()]
        total = torch.zeros((), device=images.device)
        if safe.any():
            total = total + safe.float().mean() * clip_loss(images[safe], texts[safe], self.model.scale)
        if not safe.all():
            rest = (~safe).nonzero().squeeze(1)
            captions = [inputs.captions[i] for i in rest.tolist()]
            others = StepInputs(inputs.chosen[rest], inputs.images[rest], captions, inputs.done)
            total = total + len(rest) / len(safe) * self.in_modal(others, images[rest], texts[rest])
        return total


def closer_group(similarities: Float[Tensor, " pairs"]) -> Bool[Tensor, " pairs"]:
    """Pairs that a mixture of two Gaussians puts, with probability SURE, into the group of greater similarity.

    Both groups have one spread: with two, the wider one claims the far ends on either side.
    """
    x = similarities.double()
    means = _two_means(x)
    spread, weights = x.var().clamp(min=TINY), torch.full((2,), 0.5, dtype=x.dtype)
    for _ in range(ROUNDS):
        odds = weights.log() - (x[:, None] - means) ** 2 / (2 * spread)
        belongs = odds.softmax(1)
        count = belongs.sum(0).clamp(min=TINY)
        means = (belongs * x[:, None]).sum(0) / count
        spread = (belongs * (x[:, None] - means) ** 2).sum().div(len(x)).clamp(min=TINY)
        weights = count / len(x)
    return belongs[:, means.argmax()] >= SURE


def _two_means(x: Float[Tensor, " pairs"]) -> Float[Tensor, "2"]:
    """Means of the two parts of sorted numbers that lie furthest apart for their sizes: exact 2-means."""
    x, count = x.sort().values, torch.arange(1, len(x), dtype=x.dtype)
    low = x.cumsum(0)[:-1] / count
    high = (x.sum() - x.cumsum(0)[:-1]) / (len(x) - count)
    cut = (count * (len(x) - count) * (high - low) ** 2).argmax()
    return torch.stack([low[cut], high[cut]])


def largest(similarities: Float[Tensor, " pairs"], count: int) -> Bool[Tensor, " pairs"]:
    """The `count` pairs of greatest similarity."""
    safe = torch.zeros(len(similarities), dtype=torch.bool)
    safe[similarities.topk(min(count, len(similarities))).indices] = True
    return safe
