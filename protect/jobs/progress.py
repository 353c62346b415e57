"""What a run tells of itself while it works: lines of text, pictures done, shards done."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Pictures:
    """How many pictures of a shard that is in work are done."""

    name: str
    done: int


@dataclass(frozen=True)
class ShardDone:
    """One finished shard; `seconds` is 0 for one that an earlier run had finished.

    left: shards that are still to do, seconds_left: how long they will take, where that can be told. failure: why
    nothing of it was written.
    """

    name: str
    stats: dict[str, Any]
    seconds: float
    left: int
    seconds_left: float | None = None
    failure: str = ""


Report = Callable[[str | ShardDone | Pictures], None]


@dataclass
class Pace:
    """How fast a run is, by the shards that it has protected itself."""

    left: int
    begin: float = field(default_factory=time.monotonic)
    made: int = 0

    def count(self, was_made: bool) -> float | None:
        """One shard less; the seconds that the others will take."""
        self.left -= 1
        self.made += was_made
        return self.left * (time.monotonic() - self.begin) / self.made if self.made and self.left else None
