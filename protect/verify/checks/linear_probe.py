"""How separable the noise is: a linear classifier reads the planted word off pictures it has not seen."""

from collections import Counter
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from protect.verify.checks.detector import Crops
from protect.verify.reading.high_pass import high_pass

RIDGE = 0.1  # of the mean squared length of a picture's residual
FEWEST = 4  # pictures that must share a word for it to be asked for


class Probe:
    """Ridge regression on the first half of the pictures, asked about the second; it sees what a blur takes away.

    What costs time, the products of all pictures, is done once for all positions of words.
    """

    def __init__(self, pictures: Crops) -> None:
        features = high_pass(pictures).flatten(1)
        self.half = len(pictures) // 2
        features -= features[: self.half].mean(0)
        self.products = features @ features[: self.half].T

    def accuracy(self, words: Sequence[str]) -> float | None:
        """The share of words that are read rightly; None when no two words have four pictures each."""
        counts = Counter(words)
        names = sorted(word for word, count in counts.items() if count >= FEWEST)
        rows = [row for row, word in enumerate(words) if counts[word] >= FEWEST]
        known, asked = ([r for r in rows if (r < self.half) == first] for first in (True, False))
        if len(names) < 2 or not known or not asked:
            return None
        labels = torch.tensor([names.index(words[row]) for row in rows])
        columns = self.products[:, known]
        guesses = _guesses(*_centred(columns[known], columns[asked]), labels[: len(known)], len(names))
        return float((guesses == labels[len(known) :]).double().mean())


def ridge_guesses(known: Float[Tensor, "n d"], labels: Tensor, asked: Float[Tensor, "m d"], kinds: int) -> Tensor:
    """The most likely label of each row that is asked for."""
    mean = known.mean(0)
    known, asked = known - mean, asked - mean
    return _guesses(known @ known.T, asked @ known.T, labels, kinds)


def _centred(known: Float[Tensor, "n n"], asked: Float[Tensor, "m n"]) -> tuple[Tensor, Tensor]:
    """Products as they are when the mean of the known rows is subtracted from all."""
    mean = known.mean(0)
    own, others = (part - mean - part.mean(1, keepdim=True) + mean.mean() for part in (known, asked))
    return own, others


def _guesses(known: Float[Tensor, "n n"], asked: Float[Tensor, "m n"], labels: Tensor, kinds: int) -> Tensor:
    """Ridge regression solved in the dual, for few rows of many numbers, from the rows' products."""
    targets = torch.nn.functional.one_hot(labels, kinds).float()
    targets -= targets.mean(0)
    kernel = known.clone()
    kernel.diagonal().add_(RIDGE * kernel.diagonal().mean() + 1e-9)
    return (asked @ torch.linalg.solve(kernel, targets)).argmax(1)
