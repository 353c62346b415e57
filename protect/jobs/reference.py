"""A shard as whoever is to protect it is told of it, and what is told of it afterwards."""

from dataclasses import dataclass
from typing import Any

from protect.data.storage import Place


@dataclass(frozen=True)
class ShardReference:
    """A shard: where it lies, where it goes, and the identity of the run.

    name: its place below `out`. threads: how many pictures may be made at once.
    """

    source: Place
    out: Place
    name: str
    run: str
    threads: int = 1


@dataclass(frozen=True)
class ShardReport:
    """What became of a shard. `failure`: why nothing of it was written; `seconds`: 0 where it was done before."""

    name: str
    stats: dict[str, Any]
    seconds: float = 0.0
    failure: str = ""
