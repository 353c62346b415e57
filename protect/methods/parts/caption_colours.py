"""What captions tell of a picture's coarse colours, and the noise that takes it away and tells the opposite.

A young network learns first which words go with which brightness and colour: snow is bright, a meadow is green.
The share of a cell's colour that captions predict is only a few 255ths, so a small budget cancels or reverses it,
and no network has to be known for that: every network sees coarse colours. Nothing depends on planted words, and a
caption written anew means the same, so it meets the same reversal.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from protect.data.window import Window
from protect.methods.parts.budget import LEVELS
from protect.methods.parts.keywords import Vocabulary, words_in
from protect.types import Images

CELLS = 8  # rows and columns of a picture, each cell as its mean colour
WORDS = 2048  # words of the captions that are looked at, the most frequent
SEEN = 5  # captions' pictures that must have a word before it predicts anything
RIDGE = 5.0  # pictures' worth of doubt in what a word predicts: best of 1, 3, 10 and 30 on held-out captions
REVERSE = 10.0  # times the predicted colour that is asked for; the budget cuts it long before
TENSORS = ("rarity", "centre", "slopes", "metric")
STEPS, STILL = 150, 1e-3  # of projected gradient, for the nearest noise in the budget; 255ths that end it sooner
LOOK = 10  # steps from one look at whether anything still moves to the next

Cells = Float[Tensor, "batch cell 3"]  # mean colours, in 255ths


@dataclass(frozen=True)
class CaptionColours:
    """A ridge regression from the words of captions to the colours of CELLS x CELLS cells.

    words: those that predict. rarity: weight of each. centre: mean of the weighted words over the window's pictures.
    slopes: 255ths of each cell and channel for a unit of each word. metric: inverse covariance of whole pictures'
    mean colours, since a change counts by how much pictures differ in that colour anyway. side: of the pictures that
    it was fitted on, in pixels.
    """

    words: tuple[str, ...]
    rarity: Float[Tensor, " word"]
    centre: Float[Tensor, " word"]
    slopes: Float[Tensor, "word value"]
    metric: Float[Tensor, "3 3"]
    side: int

    @classmethod
    def of(cls, window: Window, batch: int) -> "CaptionColours":
        """Fitted on the pairs of a window, a batch at a time."""
        vocabulary = Vocabulary.of(window.captions)
        words = tuple(word for word in vocabulary.keywords() if vocabulary.count[word] >= SEEN)[:WORDS]
        counts = torch.tensor([vocabulary.count[word] for word in words], dtype=torch.float32)
        rarity = (vocabulary.pictures / counts).log()
        sums = _Sums(len(words))
        for rows in torch.arange(len(window)).split(batch):
            said = weighted([window.captions[i] for i in rows.tolist()], words, rarity)
            sums.add(said.double(), cells_of(window.batch(rows).images).double())
        gram = sums.gram + RIDGE * torch.eye(len(words), dtype=torch.float64)
        slopes = torch.linalg.solve(gram, sums.cross).float().contiguous()
        spread = sums.spread + torch.eye(3)  # a 255th more in each channel: pictures may all have one colour
        metric = torch.linalg.inv(spread).float().contiguous()
        return cls(words, rarity, sums.centre.float(), slopes, metric, window.size)

    def expected(self, captions: Sequence[Sequence[str]]) -> Cells:
        """What the captions of each picture add to the mean colour of each cell, in 255ths."""
        said = weighted(captions, self.words, self.rarity)
        return ((said - self.centre) @ self.slopes).view(len(captions), -1, 3)

    def reversed(
        self, captions: Sequence[Sequence[str]], height: int, width: int, reach: float
    ) -> Float[Tensor, "batch 3 height width"]:
        """Noise within `reach`, in 255ths, that tells the opposite of each picture's captions; smooth between cells.

        The cells lie on the square of `side` pixels in the middle, as in the fit; what is around it goes on as the
        outer cells end. A picture whose captions have no word that predicts gets next to nothing.
        """
        coarse = nearest_in_box(-REVERSE * self.expected(captions), self.metric, reach)
        grid = coarse.view(len(captions), CELLS, CELLS, 3).permute(0, 3, 1, 2)
        side = min(self.side, height, width)
        field = F.interpolate(grid, size=side, mode="bicubic", align_corners=False).clamp(-reach, reach)
        top, left = (height - side) // 2, (width - side) // 2
        return F.pad(field, (left, width - side - left, top, height - side - top), mode="replicate")

    def tensors(self) -> dict[str, Tensor]:
        """What an artefact keeps as tensors; the words and the side are its facts."""
        return {f"colours.{name}": getattr(self, name) for name in TENSORS}

    @classmethod
    def from_kept(cls, tensors: dict[str, Tensor], words: Sequence[str], side: int) -> "CaptionColours":
        rarity, centre, slopes, metric = (tensors[f"colours.{name}"] for name in TENSORS)
        return cls(tuple(words), rarity, centre, slopes, metric, side)


class _Sums:
    """Sums over pictures, from which means and covariances follow; memory does not grow with their number."""

    def __init__(self, words: int) -> None:
        self.count = 0
        self.said, self.seen = torch.zeros(words).double(), torch.zeros(CELLS * CELLS * 3).double()
        self.said_said = torch.zeros(words, words).double()
        self.said_seen = torch.zeros(words, CELLS * CELLS * 3).double()
        self.whole, self.whole_whole = torch.zeros(3).double(), torch.zeros(3, 3).double()

    def add(self, said: Float[Tensor, "batch word"], cells: Cells) -> None:
        values, whole = cells.flatten(1), cells.mean(dim=1)
        self.count += len(said)
        self.said += said.sum(dim=0)
        self.seen += values.sum(dim=0)
        self.whole += whole.sum(dim=0)
        self.said_said += said.T @ said
        self.said_seen += said.T @ values
        self.whole_whole += whole.T @ whole

    @property
    def centre(self) -> Float[Tensor, " word"]:
        return self.said / self.count

    @property
    def gram(self) -> Float[Tensor, "word word"]:
        return self.said_said - torch.outer(self.said, self.said) / self.count

    @property
    def cross(self) -> Float[Tensor, "word value"]:
        return self.said_seen - torch.outer(self.said, self.seen) / self.count

    @property
    def spread(self) -> Float[Tensor, "3 3"]:
        """Covariance of whole pictures' mean colours."""
        return (self.whole_whole - torch.outer(self.whole, self.whole) / self.count) / max(1, self.count - 1)


def weighted(
    captions: Sequence[Sequence[str]], words: tuple[str, ...], rarity: Float[Tensor, " word"]
) -> Float[Tensor, "batch word"]:
    """Words of each picture's captions as a vector of length 1 (or 0): log counts times rarity."""
    place = {word: number for number, word in enumerate(words)}
    counts = np.zeros((len(captions), len(words)), np.float32)
    for row, lines in enumerate(captions):
        for line in lines:
            for word in words_in(line):
                if word in place:
                    counts[row, place[word]] += 1
    return F.normalize(torch.from_numpy(np.log1p(counts)) * rarity, dim=1)


def cells_of(images: Images) -> Cells:
    """Mean colours of the cells, row by row."""
    return (F.adaptive_avg_pool2d(images.cpu(), CELLS) * LEVELS).permute(0, 2, 3, 1).flatten(1, 2)


def nearest_in_box(goal: Cells, metric: Float[Tensor, "3 3"], reach: float) -> Cells:
    """The colours with every channel within `reach` that lie nearest to `goal` by a metric (projected gradient).

    Where a goal lies far outside, colours that pictures differ in little are kept at the cost of brightness.
    """
    length = 1 / torch.linalg.eigvalsh(metric).amax()
    found = goal.clamp(-reach, reach)
    for step in range(STEPS):
        before, found = found, (found - length * (found - goal) @ metric).clamp(-reach, reach)
        if step % LOOK == 0 and bool((found - before).abs().amax() < STILL):
            break
    return found
