"""The signed-gradient loop, and the two things it can move: a noise for each image, or one for each word."""

from itertools import pairwise
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from protect.data.window import Window
from protect.methods.parts.budget import LEVELS, Budget, to_int8
from protect.methods.parts.pgd import Loss, descend
from protect.methods.parts.trigger import Choice
from protect.settings.recipe import NoiseSettings
from protect.types import Images

Patterns = Float[Tensor, "position symbol 3 height width"]  # noise that belongs to a word, in 255ths


@runtime_checkable
class Carrier(Protocol):
    """Holds the noise of a window while it is optimised."""

    def noise(self, rows: Tensor, images: Images, choice: Choice) -> Tensor: ...

    def improve(self, rows: Tensor, images: Images, choice: Choice, loss: Loss, settings: NoiseSettings) -> None: ...


class PerImage:
    """Every image its own noise, as in the paper; kept as int8 on disk."""

    def __init__(self, window: Window, budget: Budget) -> None:
        self.window, self.budget = window, budget

    def noise(self, rows: Tensor, images: Images, choice: Choice) -> Tensor:
        return self.window.noise(rows).to(images.device)

    def improve(self, rows: Tensor, images: Images, choice: Choice, loss: Loss, settings: NoiseSettings) -> None:
        start = self.noise(rows, images, choice)
        self.window.keep_noise(rows, to_int8(improve_images(start, images, loss, self.budget, settings)))


class PerWord:
    """Every word its own pattern, shared by all images that carry the word."""

    def __init__(self, patterns: Patterns, budget: Budget) -> None:
        self.patterns, self.budget = patterns, budget

    def noise(self, rows: Tensor, images: Images, choice: Choice) -> Tensor:
        return self.budget.project(images, compose(self.patterns, choice))

    def improve(self, rows: Tensor, images: Images, choice: Choice, loss: Loss, settings: NoiseSettings) -> None:
        self.patterns = descend(
            lambda patterns: loss(self.budget.apply(images, compose(patterns, choice))),
            self.patterns,
            lambda patterns: patterns.clamp(-self.budget.reach, self.budget.reach),
            settings,
        )


def improve_images(noise: Tensor, images: Images, loss: Loss, budget: Budget, settings: NoiseSettings) -> Tensor:
    """PGD on the noise of each image of a batch; the loss sees pictures as 8-bit files hold them."""
    low, high = budget.bounds(images)
    levels = images * LEVELS
    return descend(
        loss,
        noise,
        lambda n: n.clamp(low, high),
        settings,
        lambda n: n.clamp(low, high).round_().add_(levels).round_().div_(LEVELS),
    )


def compose(patterns: Patterns, choice: Choice) -> Tensor:
    """The noise of each image: the sum of its words' patterns, (batch, 3, height, width)."""
    chosen = F.one_hot(choice.to(patterns.device), patterns.shape[1]).to(patterns.dtype)
    return torch.einsum("bps,pschw->bchw", chosen, patterns)  # a matrix product: its gradient adds up in fixed order


def tiles(
    positions: int, symbols: int, size: int, epsilon: float, generator: torch.Generator, cell: int = 4
) -> Patterns:
    """A pattern for each word: a random colour tile of `cell` pixels, repeated over its position's band.

    What a network's first layers see at once is learned first; the bands keep positions from covering each other.
    """
    tile = torch.randint(0, 2, (positions, symbols, 3, cell, cell), generator=generator) * 2.0 - 1
    repeats = -(-size // cell)
    field = tile.repeat(1, 1, 1, repeats, repeats)[..., :size, :size] * epsilon
    edges = torch.linspace(0, size, positions + 1).round().int().tolist()
    bands = torch.zeros(positions, 1, 1, size, 1)
    for position, (top, bottom) in enumerate(pairwise(edges)):
        bands[position, :, :, top:bottom] = 1
    return field * bands
