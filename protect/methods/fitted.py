"""Names and shapes of everything that flows between modules; written once, used everywhere."""

from dataclasses import dataclass

from torch import Tensor

from protect.data.noise_store import NoiseStore
from protect.types import Words


@dataclass(frozen=True)
class Fitted:
    """What phase 1 learned: the words of each position, and tensors by name (patterns, surrogate weights).

    noise: what it made for the pairs of its window, where every image has a noise of its own.
    """

    alphabet: tuple[Words, ...]
    tensors: dict[str, Tensor]
    noise: NoiseStore | None = None
