"""One shard: read, protect, publish, write; the same bytes whenever and wherever it is run."""

import json
import math
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from protect.data.beside import samples_of
from protect.data.captions import Undecided, as_decided, without_litter
from protect.data.loose_texts import ShardCaptions
from protect.data.parquet import check_parquet, rewrite_parquet
from protect.data.prepared import Failure
from protect.data.shard_writer import ShardWriter
from protect.data.shards import TruncatedShard, is_interleaved, sibling_parquet
from protect.files import MARKER, PlanError, write_whole
from protect.jobs.layout import ShardFiles
from protect.jobs.leak_check import check_leaks
from protect.jobs.look import undecided_in
from protect.jobs.plan import undecided_reason
from protect.jobs.sample import Outcome, Ready, SampleError, guarded, protect_chunk, ready
from protect.jobs.shard_stats import COMPARED, LEFT_OUT, Tally, _stats, marker
from protect.methods.parts.writing import write_words
from protect.methods.protector import Protector
from protect.samples import Sample
from protect.settings.publish import PublishSettings

CHUNK_PIXELS = 32_000_000  # decoded pixels held at once, at most (one larger picture is a chunk of its own)
AHEAD = 16  # samples decoded before they are needed, at most


def write_shard(
    shard: Path,
    files: ShardFiles[Path],
    protector: Protector,
    settings: PublishSettings,
    identity: str,
    pool: ThreadPoolExecutor,
    tick: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Writes the protected shard, its parquet, its private record and last its stats file; returns the stats.

    tick: called after every sample. Raises SampleError when on_error is fail (PlanError on what nobody decided
    about), OSError from the disk; then nothing of the shard is left behind.
    """
    tally = Tally()
    files.stats.unlink(missing_ok=True)
    if isinstance(parquet := sibling_parquet(shard), Path):
        check_parquet(parquet)  # before hours are spent on its samples
    try:
        with ShardWriter(files.target) as writer:
            _write_samples(writer, shard, settings, protector, pool, tally, tick)
            lines = "".join(json.dumps(record) + "\n" for record in tally.records)
            write_whole(files.records, lines.encode(), mode=0o600)
            _write_parquet(shard, files.parquet, settings, protector, tally)
            writer.commit()
        tally.leaks = _leaks(files, settings, protector, tally)
        stats = _stats(tally, settings) | {MARKER: marker(files, identity)}
        write_whole(files.stats, json.dumps(stats, indent=4).encode())
    except BaseException:  # Ctrl-C too: a tar without its stats would look finished to others
        with suppress(OSError):
            for path in (files.target, files.parquet, files.records):
                path.unlink(missing_ok=True)
        raise
    return stats


def _leaks(files: ShardFiles[Path], settings: PublishSettings, protector: Protector, tally: Tally) -> list[str]:
    style, noise = protector.recipe.trigger.style, protector.recipe.noise.epsilon >= 1
    texts = (
        (r["key"], r["captions"], [write_words(caption, words=r["words"], style=style) for caption in r["captions"]])
        for r in tally.records
    )
    known = {r["key"] for r in tally.records} | {error["key"] for error in tally.errors}
    return check_leaks(files.target, files.parquet, tally.clean, settings, noise, texts, known)


def _write_samples(
    writer: ShardWriter,
    shard: Path,
    publish: PublishSettings,
    protector: Protector,
    pool: ThreadPoolExecutor,
    tally: Tally,
    tick: Callable[[], None],
) -> None:
    for outcome in _outcomes(shard, publish, protector, pool, tally):
        if outcome.failure and publish.on_error == "fail":
            raise SampleError(f"{shard.name}: {outcome.sample.key}: {outcome.failure}; use --on-error keep or skip")
        if not outcome.failure:
            writer.write(outcome.sample)
        elif publish.on_error == "keep":
            writer.write(as_decided(outcome.sample, publish))
        tally.add(outcome)
        tick()


def _outcomes(
    shard: Path, publish: PublishSettings, protector: Protector, pool: ThreadPoolExecutor, tally: Tally
) -> Iterator[Outcome]:
    """Samples in their order, published; a chunk's files are made while the next chunk is protected."""
    waiting: list[Future[Outcome] | Outcome] = []
    items = _items(shard, publish, protector, pool, tally)
    for chunk in _chunks(items, protector.recipe.fit.batch):
        futures = protect_chunk(chunk, protector, publish, pool)
        yield from map(_finished, waiting)
        waiting = futures
    yield from map(_finished, waiting)


def _finished(item: Future[Outcome] | Outcome) -> Outcome:
    return item if isinstance(item, Outcome) else item.result()


def _items(
    shard: Path, publish: PublishSettings, protector: Protector, pool: ThreadPoolExecutor, tally: Tally
) -> Iterator[Ready | Outcome]:
    """Samples decoded ahead by the pool, a few at a time, in order."""
    ahead: deque[Future[Ready | Outcome]] = deque()
    seen: set[str] = set()
    captions = ShardCaptions(shard, publish)
    try:
        if is_interleaved(shard):
            tally.notes.append("the files of a sample are not side by side in this tar; they are in the written one")
        number = -1  # of those with a key
        for sample in samples_of(shard, publish):
            number += bool(sample.key)
            sample, litter = without_litter(sample)
            tally.parts.update({"litter": litter} if litter else {})
            if litter and not sample.members:
                continue
            again, compared = sample.key in seen, bool(sample.key) and number % COMPARED == 0
            ahead.append(pool.submit(_decided, sample, captions, protector, publish, again, compared))
            seen.add(sample.key)
            if len(ahead) > AHEAD:
                yield ahead.popleft().result()
    except TruncatedShard as error:
        if publish.on_error == "fail":
            raise SampleError(f"{error}, or use --on-error keep or skip") from error
        reason = str(error).replace(str(shard), shard.name)  # the stats are published, the input's place is not
        tally.errors.append({"key": "", "reason": reason})
    while ahead:
        yield ahead.popleft().result()


def _decided(
    sample: Sample,
    captions: ShardCaptions,
    protector: Protector,
    publish: PublishSettings,
    again: bool,
    compared: bool,
) -> Ready | Outcome:
    """A sample made ready; one with links or other members that nobody decided about fails, and is left out."""

    def work() -> Ready | Outcome:
        repeats = captions.repeated_in(sample)
        asked = not (publish.urls and publish.others)
        found = undecided_in(sample, publish) if asked else Undecided((), ())
        found = Undecided(found.links, (*found.others, *(f"{name} (captions of samples)" for name in repeats)))
        if reason := undecided_reason(found, publish):
            if publish.on_error == "fail":
                raise PlanError(f"{captions.shard}: {reason}")
            left = Sample(sample.key or sample.members[0].name, ())
            return Outcome(left, failure=Failure(LEFT_OUT, reason))
        members = tuple(m for m in sample.members if publish.others != "drop" or m.name not in repeats)
        item = ready(replace(sample, members=members), protector, publish, again, compared)
        if len(members) < len(sample.members) and isinstance(item, Outcome):
            item.counts["others dropped"] += len(sample.members) - len(members)
        return item

    return guarded(sample, work)


def _chunks(items: Iterator[Ready | Outcome], size: int) -> Iterator[list[Ready | Outcome]]:
    """Items in runs of at most `size` ready ones, cut earlier where the decoded pictures grow too large."""
    chunk: list[Ready | Outcome] = []
    waiting = pixels = 0
    for item in items:
        chunk.append(item)
        if isinstance(item, Ready):
            waiting += 1
            pixels += math.prod(item.prepared.picture.size)
        if waiting == size or pixels > CHUNK_PIXELS:
            yield chunk
            chunk, waiting, pixels = [], 0, 0
    if chunk:
        yield chunk


def _write_parquet(shard: Path, target: Path, publish: PublishSettings, protector: Protector, tally: Tally) -> None:
    source = sibling_parquet(shard)
    if source is None:
        return
    assert isinstance(source, Path), "it lies beside a local shard"
    style = protector.recipe.trigger.style
    changes = {r["key"]: partial(write_words, words=r["words"], style=style) for r in tally.records}
    captions = {r["key"]: r["captions"] for r in tally.records}
    failed = {e["key"] for e in tally.errors} - {"", *changes}
    dropped = failed if publish.on_error == "skip" else failed & tally.left_out
    kept = failed - dropped
    broken = any(not error["key"] for error in tally.errors)  # the samples of some rows are lost with it
    settings = replace(publish, unmatched="drop") if broken and not publish.unmatched else publish
    rewrite_parquet(source, target, changes, dropped, settings, kept, captions, tally.rows)


def try_samples(
    samples: list[Sample], protector: Protector, publish: PublishSettings, pool: ThreadPoolExecutor
) -> list[Outcome]:
    """Protects a few samples as a shard would and writes nothing."""
    items = list(pool.map(lambda sample: ready(sample, protector, publish), samples))
    return [_finished(item) for item in protect_chunk(items, protector, publish, pool)]
