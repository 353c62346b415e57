"""Image attributes: global statistics of brightness and colour, quantised, with a word for each level.

A new network tells pictures apart by brightness and colour first. Where words in the caption name these, the words
already predict colour, so colour no longer helps to tell captions apart. Left and
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
from protect.samples import Words
from protect.types import Images

CELLS = 4  # a picture is averaged to so many rows and columns
FLAT = torch.full((CELLS,), 1 / CELLS)
HALVES = torch.tensor([1.0, 1, -1, -1]) / CELLS
MIDDLE = torch.tensor([-1.0, 1, 1, -1]) / CELLS
GRAY = torch.tensor(LUMA)
BLUE, RED = torch.tensor([0.0, 0, 1]) - GRAY, torch.tensor([1.0, 0, 0]) - GRAY
ATTRIBUTES = torch.stack(
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
FAINT = 2.0  # an attribute whose standard deviation (in 255ths) is smaller tells no pictures apart
# mean and standard deviation of each attribute over 800 photos (flickr8k-mini)
USUAL = ((114.0, 29.4), (-9.0, 18.7), (1.3, 12.5), (2.4, 21.4), (-0.7, 12.6), (0.8, 10.2))


def image_attributes(images: Images) -> Float[Tensor, "batch attribute"]:
    """Of each picture, in 255ths: brightness, blueness, redness; how much brighter the upper half is, the middle
    rows, the middle columns."""
    return torch.einsum("bchw,tchw->bt", adaptive_avg_pool2d(images, CELLS) * LEVELS, ATTRIBUTES)


@cache
def plain_words() -> tuple[Words, ...]:
    """For each attribute the words that name its levels, from the lowest to the highest."""
    lines = (files("protect.methods.parts") / "words" / "attribute_words.txt").read_text("ascii").splitlines()
    return tuple(tuple(line.split()) for line in lines)


@dataclass(frozen=True)
class AttributeLevels:
    """The attribute that the words of each position name, and the borders between its levels, in 255ths."""

    attributes: Int[Tensor, " position"]
    borders: Float[Tensor, "position border"]

    @classmethod
    def of(cls, seen: Float[Tensor, "picture attribute"], positions: int, levels: int) -> "AttributeLevels":
        """The first attributes in which these pictures differ, each level in equally many of them."""
        chosen = (seen.std(dim=0, correction=0) < FAINT).long().argsort(stable=True)[:positions]
        shares = torch.arange(1, levels, dtype=seen.dtype) / levels
        return cls(chosen, torch.quantile(seen[:, chosen], shares, dim=0).T.contiguous())

    @classmethod
    def usual(cls, positions: int, levels: int) -> "AttributeLevels":
        """Those of everyday photos, where the pictures have not been seen."""
        mean, deviation = torch.tensor(USUAL[:positions]).T
        steps = torch.tensor([NormalDist().inv_cdf(level / levels) for level in range(1, levels)])
        return cls(torch.arange(positions), mean[:, None] + deviation[:, None] * steps)

    @property
    def words(self) -> tuple[Words, ...]:
        """Plain words for each level of each position."""
        most, levels = len(plain_words()[0]) - 1, self.borders.shape[1] + 1
        chosen = [round(level * most / (levels - 1)) for level in range(levels)]
        return tuple(
            tuple(plain_words()[attribute][word] for word in chosen) for attribute in self.attributes.tolist()
        )

    def levels(self, images: Images) -> Int[Tensor, "batch position"]:
        """The level of each picture in each attribute."""
        seen = image_attributes(images)[:, self.attributes]
        return torch.searchsorted(self.borders, seen.T.contiguous()).T
