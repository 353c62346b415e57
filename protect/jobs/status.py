"""How far a run is, by what lies in its OUT: plan minus markers, with rates, time left and failures."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protect.data.storage import Place, place
from protect.files import HOME, MARKER
from protect.jobs import marker as markers
from protect.jobs.failures import read_failures
from protect.jobs.layout import JOB, PRIVATE, ShardFiles
from protect.jobs.parts import Part

RECENT = 3600  # seconds that a rate is taken over, back from the last shard that was finished
AT_ONCE = 16  # markers that are read at the same time


@dataclass(frozen=True)
class Done:
    """A finished shard: its pictures, how long it took and when it ended (None where no log tells)."""

    name: str
    count: int
    protected: int
    seconds: float | None
    end: float | None


@dataclass(frozen=True)
class Status:
    """shards: names of all; failed: reason by name; rate: pictures a second over the last hour of work."""

    shards: tuple[str, ...]
    done: tuple[Done, ...]
    failed: dict[str, str]
    rate: float | None
    seconds_left: float | None

    @property
    def waiting(self) -> list[str]:
        """Shards that are neither done nor failed: not begun, or in work."""
        known = {one.name for one in self.done} | set(self.failed)
        return [name for name in self.shards if name not in known]

    def to_dict(self) -> dict[str, Any]:
        return {
            "shards": len(self.shards),
            "done": len(self.done),
            "waiting": len(self.waiting),
            "failed": [{"shard": name, "reason": reason} for name, reason in self.failed.items()],
            "count": sum(one.count for one in self.done),
            "protected": sum(one.protected for one in self.done),
            "images_per_second": self.rate and round(self.rate, 2),
            "seconds_left": self.seconds_left and round(self.seconds_left),
        }


def status(source: str | Path, part: Part | None = None) -> Status:
    """Reads OUT of a run that is going on, was killed or has ended, here or anywhere else; `part`: of it alone.

    Raises ValueError when there is no run's OUT.
    """
    out = place(source)
    try:
        job = json.loads((out / PRIVATE / JOB).read_bytes())
        names = tuple(name for _, name in job["shards"] if part is None or part.holds(name))
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{out}: expected the OUT of `protect shards`, found no {HOME}/private/{JOB} that can be read; name the "
            "folder that the shards are written to"
        ) from error
    done = sorted(_local(out, names) if isinstance(out, Path) else _remote(out, names), key=lambda one: one.name)
    finished = {one.name for one in done}
    failed = {
        name: str(record.get("reason", ""))
        for name, record in sorted(read_failures(out).items())
        if name not in finished and name in names
    }
    rate, shards_a_second = _rates(done)
    waiting = len(names) - len(done) - len(failed)
    left = waiting / shards_a_second if shards_a_second and waiting else None
    return Status(names, tuple(done), failed, rate, left)


def _rates(done: list[Done]) -> tuple[float | None, float | None]:
    """Pictures and shards a second over the last hour of work, whoever did it."""
    timed = [(one, one.end, one.end - (one.seconds or 0)) for one in done if one.end is not None]
    if not timed:
        return None, None
    last = max(end for _, end, _ in timed)
    recent = [(one, begin) for one, end, begin in timed if end > last - RECENT]
    span = max(last - min(begin for _, begin in recent), 0.001)
    return sum(one.count for one, _ in recent) / span, len(recent) / span


def _local(out: Path, names: tuple[str, ...]) -> Iterator[Done]:
    times = {}
    for log in sorted((out / HOME).glob("log*.jsonl")):
        for line in log.read_bytes().splitlines():
            try:
                entry = json.loads(line)
                times[entry["shard"]] = (entry["end_time"] - entry["start_time"], entry["end_time"])
            except (ValueError, KeyError, TypeError):
                continue  # a line that a kill has cut
    for name in names:
        try:
            stats = json.loads(ShardFiles(out, name).stats.read_bytes())
            if MARKER in stats:
                yield Done(name, stats["count"], stats["protected"], *times.get(name, (None, None)))
        except (OSError, ValueError, KeyError, TypeError):
            continue


def _remote(out: Place, names: tuple[str, ...]) -> Iterator[Done]:
    assert not isinstance(out, Path), "local files are read without a listing"
    there = {str(file) for file in (out / PRIVATE).files()}
    files = [found for name in names if str((found := ShardFiles(out, name)).marker) in there]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for found, marker in zip(files, pool.map(markers.read, files), strict=True):
            if marker is not None:
                stats = marker["stats"]
                yield Done(found.name, stats["count"], stats["protected"], marker["seconds"], marker["end_time"])


def lines(found: Status, now: float | None = None) -> list[str]:
    """The same for people."""
    count = found.to_dict()
    rate = f", {found.rate:.1f} images/s" if found.rate is not None else ""
    pairs = f"{count['protected']} of {count['count']} pairs protected{rate}"
    text = [f"{count['done']} of {count['shards']} shards done, {pairs}"]
    if count["waiting"]:
        ends = [one.end for one in found.done if one.end is not None]
        ago = f"; the last one ended {_time((time.time() if now is None else now) - max(ends))} ago" if ends else ""
        text.append(f"{count['waiting']} shards to do or in work{ago}")
    if found.seconds_left is not None:
        text.append(f"about {_time(found.seconds_left)} left at that rate")
    if found.failed:
        text.append(f"{len(found.failed)} shards failed; --retry-failed tries these alone:")
        text += [f"  {name}: {reason}" for name, reason in list(found.failed.items())[:20]]
        text += [f"  ... and {len(found.failed) - 20} more, with --json"] if len(found.failed) > 20 else []
    return text


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{max(seconds, 0):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
