"""Markers in object storage: that a shard is done, from which input, by which protector and with which settings."""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from protect.data.storage import Place, Remote, blocks_of, size_of
from protect.files import MARKER, PlanError
from protect.jobs.layout import ShardFiles
from protect.settings.publish import PublishSettings


class MarkerError(PlanError):
    """A marker that belongs to another run: its shard is neither ours to skip nor ours to replace."""


def settings_hash(settings: PublishSettings) -> str:
    return hashlib.sha256(json.dumps(asdict(settings), sort_keys=True).encode()).hexdigest()


def make_marker(
    source: Place,
    input_hash: str,
    protector: str,
    settings: PublishSettings,
    stats: Mapping[str, Any],
    seconds: float,
) -> dict[str, Any]:
    """What is written when all files of a shard are in place. `hashes` alone decide whether two are the same."""
    return {
        "hashes": {
            "input": input_hash,
            "output": stats[MARKER]["sha256"],
            "parquet": stats[MARKER]["parquet_sha256"],
            "protector": protector,
            "settings": settings_hash(settings),
        },
        "source": {"size": size_of(source), "version": source.version if isinstance(source, Remote) else None},
        "stats": dict(stats),
        "seconds": round(seconds, 3),
        "end_time": time.time(),
    }


def commit(files: ShardFiles[Remote], marker: dict[str, Any]) -> None:
    """Writes the marker if there is none; the first one wins. Raises MarkerError where it is of other files."""
    try:
        files.marker.write_bytes(json.dumps(marker, indent=1).encode(), mode="create")
    except FileExistsError:
        there = read(files)
        if there is None or there["hashes"] != marker["hashes"]:
            different = _different(there or {"hashes": {}}, marker["hashes"])
            raise MarkerError(
                f"{files.marker}: expected no marker or the same one, found one with another {different}; choose "
                "another OUT, or remove that marker to have the shard made again"
            ) from None


def read(files: ShardFiles[Remote]) -> dict[str, Any] | None:
    """The marker of a shard, None where there is none. Raises MarkerError when it cannot be read."""
    try:
        marker = json.loads(files.marker.read_bytes())
        marker["hashes"]["output"], marker["stats"]["count"]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise MarkerError(f"{files.marker}: expected a marker in JSON, found something else; remove it") from error
    return marker


def check(
    marker: dict[str, Any], files: ShardFiles[Remote], protector: str, settings: PublishSettings, source: Place
) -> bool:
    """Whether what a marker of this very run stands for is still there. Raises MarkerError for one of another run."""
    ours = {"protector": protector, "settings": settings_hash(settings)}
    if not _same_source(marker, source):
        ours["input"] = _hash(source)
    if different := _different(marker, ours):
        raise MarkerError(
            f"{files.target}: expected the marker of this run, found one with another {different}; choose another "
            "OUT, or the protector and settings that OUT was begun with"
        )
    try:
        return size_of(files.target.looked_up()) > 0
    except FileNotFoundError:
        return False


def _different(marker: dict[str, Any], ours: Mapping[str, Any]) -> str:
    return " and ".join(name for name in ours if marker["hashes"].get(name) != ours[name])


def _same_source(marker: dict[str, Any], source: Place) -> bool:
    """Whether the store says that the input is what it was, without reading it."""
    version = source.version if isinstance(source, Remote) else None
    return version is not None and marker["source"] == {"size": size_of(source), "version": version}


def _hash(source: Place) -> str:
    digest = hashlib.sha256()
    for block in blocks_of(source):
        digest.update(block)
    return digest.hexdigest()
