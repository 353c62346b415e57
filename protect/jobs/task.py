"""One shard as a task: the same bytes whenever, wherever and however often it is run."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from protect.data.captions import CaptionError
from protect.data.scratch import scratch
from protect.data.shard_list import ShardError
from protect.data.storage import Remote
from protect.files import MARKER
from protect.jobs import marker as markers
from protect.jobs.ahead import Ahead
from protect.jobs.layout import ShardFiles
from protect.jobs.reference import ShardReference, ShardReport
from protect.jobs.shard import write_shard
from protect.jobs.shard_stats import failed_stats, file_hash, marker
from protect.methods.protector import Protector
from protect.settings.publish import PublishSettings


def failed(name: str, reason: str, settings: PublishSettings, seconds: float = 0.0) -> ShardReport:
    """The report of a shard that failed as a whole."""
    return ShardReport(name, failed_stats(reason, settings), max(seconds, 1e-6), reason)


def protect_shard(
    reference: ShardReference,
    protector: Protector,
    settings: PublishSettings,
    tick: Callable[[], None] = lambda: None,
    ahead: Ahead | None = None,
) -> ShardReport:
    """Protects a shard, unless it is done; a shard that cannot be read or written again fails alone.

    What is written depends on nothing but the bytes of the shard, the protector and the settings. Nothing that is
    half-written is ever seen, and two who do the same shard write the same. tick: called after every sample. ahead:
    where a remote shard may be at hand already. Raises PlanError, SampleError and OSError, which end the run, and
    Transient, after which it may be tried again.
    """
    begin = time.time()
    try:
        if (stats := _done_before(reference, protector, settings)) is not None:
            return ShardReport(reference.name, stats)
        stats = _made(reference, protector, settings, begin, tick, ahead or Ahead())
    except (ShardError, CaptionError) as error:
        if settings.on_error == "fail":
            raise
        reason = str(error).replace(f"{reference.source.parent}/", "")
        return failed(reference.name, reason, settings, time.time() - begin)
    return ShardReport(reference.name, stats, time.time() - begin)


def _done_before(reference: ShardReference, protector: Protector, settings: PublishSettings) -> dict[str, Any] | None:
    if isinstance(reference.out, Path):
        return finished(ShardFiles(reference.out, reference.name), reference.run)
    files = ShardFiles(reference.out, reference.name)
    found = markers.read(files)
    if found is None or not markers.check(found, files, protector.hash, settings, reference.source):
        return None
    return found["stats"]


def finished(files: ShardFiles[Path], identity: str) -> dict[str, Any] | None:
    """The stats of a shard this very run has written and nobody has touched since, else None."""
    try:
        stats = json.loads(files.stats.read_bytes())
        ours = stats[MARKER]["run"] == identity and files.records.exists()
        if ours and stats[MARKER] == marker(files, identity):
            return stats
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def _made(
    reference: ShardReference,
    protector: Protector,
    settings: PublishSettings,
    begin: float,
    tick: Callable[[], None],
    ahead: Ahead,
) -> dict[str, Any]:
    source, out = reference.source, reference.out
    with ExitStack() as stack, ThreadPoolExecutor(max_workers=reference.threads) as pool:
        shard, input_hash = source, ""
        if isinstance(source, Remote):
            shard, input_hash = stack.enter_context(ahead.fetched(source))
        assert isinstance(shard, Path), "it was fetched"
        if isinstance(out, Path):
            return write_shard(shard, ShardFiles(out, reference.name), protector, settings, reference.run, pool, tick)
        written = ShardFiles(stack.enter_context(scratch()), reference.name)
        written.make_folders()
        stats = write_shard(shard, written, protector, settings, reference.run, pool, tick)
        files, known = ShardFiles(out, reference.name), input_hash or file_hash(shard)
        _send(written, files)
        markers.commit(
            files, markers.make_marker(source, known, protector.hash, settings, stats, time.time() - begin)
        )
        return stats


def _send(written: ShardFiles[Path], files: ShardFiles[Remote]) -> None:
    """Every file of a finished shard, each as a whole; readers who go by the tar find its parquet there."""
    for name in ("records", "parquet", "target", "stats"):
        source, target = getattr(written, name), getattr(files, name)
        if source.exists():
            target.upload(source)
