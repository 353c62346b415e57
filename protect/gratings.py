"""Gratings: stripes of one direction and width over the whole picture, their lines gently waving.

What a network reads of them is their energy, not where they begin: a crop, a flip or a shift changes nothing, and
every picture can have them at a phase of its own, so that no mean over pictures shows them. The lines wave, so that
no picture's spectrum has a peak to cut away. They are gray: coloured ones are learned sooner, but what a scraper
stores as JPEG has its colours at half the size, and fine stripes of colour are lost there (benchmarks/LOG.md).
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

PERIOD = 16  # pixels that frequencies are given for
WAVING = 1.5  # radians (standard deviation) that a phase differs from place to place
CELL = 16  # pixels over which it changes
# Waves in PERIOD pixels down and across: eight directions about four pixels wide, two of 5.3 pixels.
WAVES = (
    *((0, 4), (4, 0), (3, 3), (3, -3)),
    *((2, 4), (4, 2), (2, -4), (4, -2)),
    *((0, 3), (3, 0)),
)


def stripes(symbols: Sequence[int], size: int, random: torch.Generator) -> Float[Tensor, "size size"]:
    """The sum of these gratings over size x size pixels, each of amplitude 1, phases drawn."""
    places = torch.arange(size, dtype=torch.float32)
    total = torch.zeros(size, size)
    for symbol in symbols:
        down, across = WAVES[symbol]
        turns = (down * places[:, None] + across * places) / PERIOD + torch.rand((), generator=random)
        total += torch.cos(2 * math.pi * turns + WAVING * waving(size, random))
    return total


def waving(size: int, random: torch.Generator) -> Float[Tensor, "size size"]:
    """A smooth random surface of about unit variance: normal numbers on a grid of CELL pixels, bicubic between."""
    cells = size // CELL + 4
    surface = F.interpolate(torch.randn(1, 1, cells, cells, generator=random), scale_factor=CELL, mode="bicubic")[
        0, 0
    ]
    down, across = torch.randint(CELL, 2 * CELL, (2,), generator=random).tolist()
    return surface[down : down + size, across : across + size]
