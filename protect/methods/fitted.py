"""What phase 1 leaves, and phase 2 starts from."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from protect.data.noise_store import NoiseStore
from protect.samples import Words
from protect.types import Batch, Protection

Protect = Callable[[Batch], Protection]


@dataclass(frozen=True)
class Fitted:
    """What a method learned: the words of each position, tensors by name, and other facts as plain values (JSON).

    noise: what it made for the pairs of its window, where every image has a noise of its own.
    """

    alphabet: tuple[Words, ...]
    tensors: dict[str, Tensor] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    noise: NoiseStore | None = None
