"""The stats of a run's shards: those of this process, and those that others have finished."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from protect.data.storage import Place
from protect.jobs import marker as markers
from protect.jobs.layout import ShardFiles
from protect.jobs.plan import Plan
from protect.jobs.task import finished


def results_of(plan: Plan, done: Mapping[str, dict[str, Any]], identity: str) -> list[dict[str, Any]]:
    """The stats of all finished shards of a plan, in order, with the shard's name; `done`: those known already."""
    results = []
    for shard in plan.shards:
        name = plan.name(shard)
        stats = done[name] if name in done else _finished(plan.out, name, identity)
        if stats is not None:
            results.append({"shard": name, **stats})
    return results


def are_all_written(plan: Plan) -> bool:
    """Whether all shards of a plan look done, by one look at each, or by one listing of object storage."""
    if isinstance(plan.out, Path):
        return all(plan.files(shard).stats.exists() for shard in plan.shards)
    there = {str(file) for file in plan.private.files()} if not isinstance(plan.private, Path) else set()
    return all(str(plan.files(shard).marker) in there for shard in plan.shards)


def _finished(out: Place, name: str, identity: str) -> dict[str, Any] | None:
    if isinstance(out, Path):
        return finished(ShardFiles(out, name), identity)
    marker = markers.read(ShardFiles(out, name))
    return None if marker is None else marker["stats"]
