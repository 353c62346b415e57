"""Who runs the shards: EXECUTORS, and how they are spread over processes and machines."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from protect.settings.base import among_choices, knob, positive

EXECUTORS = {  # name -> the module that has run(work: Work) -> Iterator[ShardReport]; a new one costs a line here
    "local": "protect.jobs.executors.local",
    "ray": "protect.jobs.executors.ray",
}
DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smh]?)")
SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class Distribution:
    """How the shards of a run are spread over processes and machines; decides no byte of what is written."""

    distributor: str = knob("local", "who runs the shards: processes on this machine, or a Ray cluster", [*EXECUTORS])
    workers: int | None = knob(
        None, "processes that protect shards side by side, with --distributor local",
        unset="one a core, where there is enough to do",
    )  # fmt: skip
    part: str | None = knob(
        None,
        "I/N: only the shards of part I of N, counted from 0; run each part once, anywhere (0/1: all)",
        unset="of a SLURM array or an indexed Kubernetes job, if this is one; else all",
    )
    retry_failed: bool = knob(False, "only the shards that an earlier run recorded as failed")
    address: str | None = knob(
        None, "Ray cluster to use, such as auto or ray://HEAD:10001", unset="a new one on this machine"
    )
    cpus_per_shard: int | None = knob(
        None, "cores that each shard is given", unset="1 with Ray; else all cores are shared out"
    )
    gpus_per_worker: float | None = knob(
        None, "GPUs of each Ray worker, for methods with a surrogate", unset="none: shards run on CPUs"
    )
    tries: int = knob(3, "how often a shard is tried when its process dies or storage fails")
    shard_timeout: str | None = knob(
        None, "stop and retry a shard that takes longer: seconds, or such as 30m or 2h", unset="no limit"
    )

    def __post_init__(self) -> None:
        among_choices(self)
        positive(self, "workers", "cpus_per_shard", "gpus_per_worker", "tries")
        if self.distributor != "ray" and (self.address or self.gpus_per_worker):
            name = "address" if self.address else "gpus_per_worker"
            raise ValueError(f"{name}: no effect with --distributor {self.distributor}; leave it out or use ray")
        if self.distributor != "local" and self.workers:
            raise ValueError(f"workers: no effect with --distributor {self.distributor}; use --cpus-per-shard")
        if self.shard_timeout is not None and not self.seconds:
            raise ValueError(
                f"shard_timeout: expected a time above 0 such as 90, 30m or 2h, got {self.shard_timeout!r}"
            )

    @property
    def seconds(self) -> float | None:
        """The time that a shard may take, None for any."""
        if self.shard_timeout is None:
            return None
        match = DURATION.fullmatch(self.shard_timeout.strip().lower())
        return float(match[1]) * SECONDS[match[2]] if match else 0.0


def silent(name: str, pictures: int) -> None:
    """Told of pictures where nobody asks; a function of its own, so that it can be sent to other processes."""


@dataclass(frozen=True)
class Work:
    """What an executor is given: shards to protect by one protector with one set of settings.

    threads: those that each shard may use for its pictures where one shard is protected at a time.
    tick: told the name of a shard and how many of its pictures are done, from time to time, where that is known.
    """

    references: Sequence[Any]  # ShardReference
    protector: Any  # Protector
    settings: Any  # PublishSettings
    how: Distribution
    threads: int = 1
    tick: Callable[[str, int], None] = silent


def run(work: Work) -> Iterator[Any]:
    """A ShardReport for each shard, in whatever order they end.

    A shard that failed gives a report that says why; only what must end the whole run (a PlanError, a full disk, a
    sample that was to be refused) is raised.
    """
    return import_module(EXECUTORS[work.how.distributor]).run(work)
