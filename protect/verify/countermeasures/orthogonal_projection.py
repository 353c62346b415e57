"""Orthogonal projection (Sandoval-Segura et al. 2023, arXiv 2305.19254): what a linear model sees is removed.

A linear model learns to predict caption words from pixels. Noise that many pictures share by word is what it finds
first. Every picture then loses its component along the model's directions.
"""

from collections.abc import Sequence
from dataclasses import replace
from statistics import median_low

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from protect.seeds import derive
from protect.verify.countermeasures.base import Changed, Countermeasure, Kind
from protect.verify.countermeasures.caption_regression import common_words
from protect.verify.countermeasures.word_means import squares, subtracted
from protect.verify.reading.pairs import Pairs

MOST_WORDS = 128  # directions that are removed, at most
LARGEST = 96  # pixels along a side that the model sees
MOST_PICTURES = 2000  # that the linear model is fitted on
RIDGE = 0.1  # of the mean squared length of a picture


def project(pairs: Pairs) -> Pairs:
    """The pairs without what a linear model of their captions' words sees in their pictures."""
    side = min(LARGEST, median_low(min(picture.shape[:2]) for picture in pairs.pictures))
    words = common_words(pairs.captions, MOST_WORDS)
    order = sorted(range(len(pairs)), key=lambda i: derive(0, "oproj", pairs.keys[i]))[:MOST_PICTURES]
    mean, basis = directions(pairs.select(order), [words[i] for i in order], side)

    def changed(i: int) -> np.ndarray:
        (square,) = squares(pairs.select([i]), side)
        flat = torch.from_numpy(square).float().flatten() - mean
        change = (basis @ (basis.T @ flat)).view(side, side, 3).numpy()
        return subtracted(pairs.pictures[i], change)

    return replace(pairs, pictures=Changed(len(pairs), changed))


def directions(
    pairs: Pairs, words: Sequence[Sequence[str]], side: int
) -> tuple[Float[Tensor, " pixels"], Float[Tensor, "pixels directions"]]:
    """The mean picture (square, flat), and orthonormal directions that span the weights of the linear model.

    Ridge regression from pixels to words, solved in the dual, as pictures are fewer than pixels.
    """
    names = sorted({word for own in words for word in own})
    pixels = torch.from_numpy(np.stack([square.astype(np.float32) for square in squares(pairs, side)])).flatten(1)
    mean = pixels.mean(0)
    if not names:
        return mean, torch.zeros(len(mean), 0)
    pixels -= mean
    targets = torch.tensor([[float(name in own) for name in names] for own in map(set, words)])
    kernel = pixels @ pixels.T
    kernel.diagonal().add_(RIDGE * kernel.diagonal().mean() + 1e-9)
    weights = pixels.T @ torch.linalg.solve(kernel, targets - targets.mean(0))
    return mean, torch.linalg.qr(weights).Q


ROWS = (
    Countermeasure(
        "oproj",
        Kind.ADAPTIVE,
        "orthogonal projection: the directions by which a linear model predicts caption words removed from pictures",
        "projects out what a linear model sees",
        pairs=project,
        strong=True,
    ),
)
