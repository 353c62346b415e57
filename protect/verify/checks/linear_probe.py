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
    guesses = _ridge(features[:half], labels[:half], features[half:], len(known))
    return float((guesses == labels[half:]).double().mean())


def _ridge(seen: Float[Tensor, "n d"], labels: Tensor, unseen: Float[Tensor, "m d"], kinds: int) -> Tensor:
    """The most likely label of each unseen row; solved in the dual, as rows are fewer than pixels."""
    mean = seen.mean(0)
    seen, unseen = seen - mean, unseen - mean
    targets = torch.nn.functional.one_hot(labels, kinds).float()
    targets -= targets.mean(0)
    kernel = seen @ seen.T
    kernel.diagonal().add_(RIDGE * kernel.diagonal().mean() + 1e-9)
    return (unseen @ seen.T @ torch.linalg.solve(kernel, targets)).argmax(1)
