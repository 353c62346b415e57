"""The whole job: fit if need be, then protect shard after shard; killed at any moment it goes on where it was."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ShardDone:
    """One finished shard; `seconds` is 0 for one that an earlier run had finished."""

    name: str
    stats: dict[str, Any]
    seconds: float
    left: int


Report = Callable[[str | ShardDone], None]
