"""What is to be forgotten and what kept."""

from dataclasses import dataclass

from jaxtyping import Int
from torch import Tensor

from protect.unlearn.pairs import Classes, Pairs


@dataclass(frozen=True)
class Task:
    """Pairs to forget and to keep.

    twins: number of each forget pair's own retain pair. held_out: pairs of the kind to forget, never trained on.
    """

    forget: Pairs
    retain: Pairs
    classes: Classes | None = None
    twins: Int[Tensor, " forget"] | None = None
    held_out: Pairs | None = None
