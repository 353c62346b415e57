"""How separable the noise is: a linear classifier reads the planted word off pictures it has not seen."""

from collections import Counter
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from protect.verify.checks.detection import Crops
from protect.verify.reading.high_pass import high_pass

RIDGE = 0.1  # of the mean squared length of a picture's residual
FEWEST = 4  # pictures that must share a word for it to be asked for


def probe(pictures: Crops, words: Sequence[str]) -> float | None:
    """Accuracy on the second half of the pictures, by ridge regression on the first.

    It sees what a small blur takes away. None when no two words have four pictures each.
    """
    counts = Counter(words)
    known = sorted(word for word, count in counts.items() if count >= FEWEST)
    rows = [row for row, word in enumerate(words) if counts[word] >= FEWEST]
    if len(known) < 2:
        return None
    labels = torch.tensor([known.index(words[row]) for row in rows])
    half = len(rows) // 2
    features = high_pass(pictures[rows]).flatten(1)
    guesses = ridge_guesses(features[:half], labels[:half], features[half:], len(known))
    return float((guesses == labels[half:]).double().mean())


def ridge_guesses(known: Float[Tensor, "n d"], labels: Tensor, asked: Float[Tensor, "m d"], kinds: int) -> Tensor:
    """The most likely label of each row that is asked for; solved in the dual, for few rows of many numbers."""
    mean = known.mean(0)
    known, asked = known - mean, asked - mean
    targets = torch.nn.functional.one_hot(labels, kinds).float()
    targets -= targets.mean(0)
    kernel = known @ known.T
    kernel.diagonal().add_(RIDGE * kernel.diagonal().mean() + 1e-9)
    return (asked @ known.T @ torch.linalg.solve(kernel, targets)).argmax(1)
