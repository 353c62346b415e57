"""Gratings: coloured stripes of one direction and width over the whole picture, their lines gently waving.

What a network reads of them is their energy, not where they begin: a crop, a flip or a shift changes nothing, and
every picture can have them at a phase of its own, so that no mean over pictures shows them. The lines wave, so that
no picture's spectrum has a peak to cut away. Colour makes them quick to learn, since pictures hold little fine
colour, and hard to see; what of them is brightness passes through gray copies and JPEG's colour subsampling. The
widths, 3 to 5.7 pixels at the size a network sees, are those that first layers tell apart and that JPEG still keeps.
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
YELLOW, CYAN = (1.0, 1.0, -1.0), (-1.0, 1.0, 1.0)  # against blue, against red; brightness: 0.77 and 0.40
# Waves in PERIOD pixels down and across, with their colour: directions in widths of 4, 5.5 and 3 pixels.
WAVES = (
    *(((0, 4), CYAN), ((4, 0), CYAN), ((3, 3), CYAN), ((3, -3), CYAN)),
    *(((0, 3), YELLOW), ((3, 0), YELLOW), ((2, 2), YELLOW), ((2, -2), YELLOW)),
    *(((0, 5), YELLOW), ((5, 0), YELLOW)),
)


def stripes(symbols: Sequence[int], size: int, random: torch.Generator) -> Float[Tensor, "3 size size"]:
    """The sum of these gratings over size x size pixels, each of amplitude 1, phases drawn."""
    places = torch.arange(size, dtype=torch.float32)
    total = torch.zeros(3, size, size)
    for symbol in symbols:
        (down, across), colour = WAVES[symbol]
        turns = (down * places[:, None] + across * places) / PERIOD + torch.rand((), generator=random)
        wave = torch.cos(2 * math.pi * turns + WAVING * waving(size, random))
        total += torch.tensor(colour)[:, None, None] * wave
    return total


def waving(size: int, random: torch.Generator) -> Float[Tensor, "size size"]:
    """A smooth random surface of about unit variance: normal numbers on a grid of CELL pixels, bicubic between."""
    cells = size // CELL + 4
    surface = F.interpolate(torch.randn(1, 1, cells, cells, generator=random), scale_factor=CELL, mode="bicubic")[
        0, 0
    ]
    down, across = torch.randint(CELL, 2 * CELL, (2,), generator=random).tolist()
    return surface[down : down + size, across : across + size]
