"""How a picture looks at a glance, in numbers, in levels of them and in words: what a network sees before all else.

A network that is new to pictures tells them apart by brightness and colour first. Words that say just these leave it
nothing to learn of the other words: whatever colour tells of the content, the planted word tells better. Left and
right are not told apart, since training flips pictures.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from statistics import NormalDist

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from protect.data.images import LUMA
from protect.methods.parts.budget import LEVELS
from protect.types import Images, Words

CELLS = 4  # rows and columns of a picture that are looked at, as their means
FLAT = torch.full((CELLS,), 1 / CELLS)
HALVES = torch.tensor([1.0, 1, -1, -1]) / CELLS
MIDDLE = torch.tensor([-1.0, 1, 1, -1]) / CELLS
GRAY = torch.tensor(LUMA)
BLUE, RED = torch.tensor([0.0, 0, 1]) - GRAY, torch.tensor([1.0, 0, 0]) - GRAY
TRAITS = torch.stack(
    [
        torch.einsum("c,h,w->chw", *parts)
        for parts in (
            (GRAY, FLAT, FLAT),
            (BLUE, FLAT, FLAT),
            (RED, FLAT, FLAT),
            (GRAY, HALVES, FLAT),
            (GRAY, MIDDLE, FLAT),
            (GRAY, FLAT, MIDDLE),
        )
    ]
)
FAINT = 2.0  # a trait in which pictures differ less than this (standard deviation, 255ths) tells nothing
# mean and standard deviation of each trait over 800 photos (flickr8k-mini)
USUAL = ((114.0, 29.4), (-9.0, 18.7), (1.3, 12.5), (2.4, 21.4), (-0.7, 12.6), (0.8, 10.2))


def traits(images: Images) -> Float[Tensor, "batch trait"]:
    """Of each picture, in 255ths: brightness, blueness, redness; how much brighter the upper half is, the middle
    rows, the middle columns."""
    return torch.einsum("bchw,tchw->bt", adaptive_avg_pool2d(images, CELLS) * LEVELS, TRAITS)


@cache
def plain_words() -> tuple[Words, ...]:
    """For each trait the words that say it, from the least of it to the most."""
    lines = (files("protect.methods.parts") / "words" / "looks.txt").read_text("ascii").splitlines()
    return tuple(tuple(line.split()) for line in lines)


@dataclass(frozen=True)
class Looks:
    """Which traits the words of each position tell, and where their levels part, in 255ths."""

    traits: Int[Tensor, " position"]
    borders: Float[Tensor, "position border"]

    @classmethod
    def of(cls, seen: Float[Tensor, "picture trait"], positions: int, levels: int) -> "Looks":
        """The first traits in which these pictures differ, every level in equally many of them."""
        told = (seen.std(dim=0, correction=0) < FAINT).long().argsort(stable=True)[:positions]
        shares = torch.arange(1, levels, dtype=seen.dtype) / levels
        return cls(told, torch.quantile(seen[:, told], shares, dim=0).T.contiguous())

    @classmethod
    def usual(cls, positions: int, levels: int) -> "Looks":
        """Those of photos as most people take them, where the pictures have not been seen."""
        mean, deviation = torch.tensor(USUAL[:positions]).T
        steps = torch.tensor([NormalDist().inv_cdf(level / levels) for level in range(1, levels)])
        return cls(torch.arange(positions), mean[:, None] + deviation[:, None] * steps)

    @property
    def words(self) -> tuple[Words, ...]:
        """Plain words for each level of each position."""
        most, levels = len(plain_words()[0]) - 1, self.borders.shape[1] + 1
        chosen = [round(level * most / (levels - 1)) for level in range(levels)]
        return tuple(tuple(plain_words()[trait][word] for word in chosen) for trait in self.traits.tolist())

    def levels(self, images: Images) -> Int[Tensor, "batch position"]:
        """The level of each picture in each trait."""
        seen = traits(images)[:, self.traits]
        return torch.searchsorted(self.borders, seen.T.contiguous()).T
