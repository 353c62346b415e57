"""One shard: read, protect, publish, write; the same bytes whenever and wherever it is run."""

import hashlib
import json
import math
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

from protect import __version__
from protect.batches import to_images
from protect.captions import CaptionError, captions_of, rewrite_captions, rewrite_parquet
from protect.files import write_whole
from protect.images import ImageError, Photo, decode, to_view
from protect.plan import MARKER, Plan, links_error, links_of, sibling_parquet
from protect.protector import Protector
from protect.publish import BudgetError, publish_image
from protect.settings import PublishSettings, Recipe
from protect.shards import (
    ShardWriter,
    TruncatedShard,
    image_member,
    read_samples,
    replace_members,
    split_name,
)
from protect.survival import trigger_survives
from protect.trigger import write_words
from protect.types import Batch, Member, Sample, Words

CHUNK_PIXELS = 32_000_000  # decoded pixels held at once, at most (one larger picture is a chunk of its own)
UNSEEN = np.empty((3, 0, 0), np.uint8)  # the view of a sample that nobody looks at
AHEAD = 16  # samples decoded before they are needed, at most
COMPARED = 8  # one sample of so many is written clean too, to tell what the codec alone does: a third of phase 2


class SampleError(ValueError):
    """A sample that cannot be protected, where the user asked to stop at the first (on_error=fail)."""


class Failure(NamedTuple):
    """Why a sample cannot be protected: a kind that is counted, and the details."""

    kind: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}" if self.detail else self.kind


@dataclass
class Ready:
    """A decoded sample that waits for its protection; compared: beside a clean one that was merely written again."""

    sample: Sample
    image: Member
    photo: Photo
    view: np.ndarray
    captions: tuple[str, ...]
    compared: bool = True


@dataclass
class Outcome:
    """A sample as it goes out: protected, with what its private record says, or unchanged, with the reason."""

    sample: Sample
    record: dict[str, Any] | None = None
    failure: Failure | None = None


@dataclass
class Tally:
    """Counts of one shard, filled as its samples pass."""

    status: Counter[str] = field(default_factory=Counter)
    records: list[dict[str, Any]] = field(default_factory=list)
    errors: list[dict[str, str]] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        key = outcome.sample.key
        if outcome.record is not None:
            self.status["success"] += 1
            self.records.append(outcome.record)
            if not outcome.record["survives"]:
                self.errors.append({"key": key, "reason": "trigger cut off: the caption is longer than models read"})
        elif outcome.failure is not None:
            self.status[outcome.failure.kind] += 1
            self.errors.append({"key": key, "reason": str(outcome.failure)})

    def mean(self, name: str) -> float | None:
        """Mean of one measure over the protected images; infinite ones (no change at all) are left out."""
        values = [v for record in self.records if math.isfinite(v := record[name])]
        return round(math.fsum(values) / len(values), 4) if values else None


def protect_shard(shard: Path, plan: Plan, protector: Protector, identity: str, pool: ThreadPoolExecutor) -> dict:
    """Writes the protected shard, its parquet, its private record and last its stats file; returns the stats.

    Raises SampleError when on_error is fail, PlanError on links nobody decided about, OSError from the disk;
    then nothing of the shard is left behind.
    """
    tally = Tally()
    plan.stats(shard).unlink(missing_ok=True)
    try:
        with ShardWriter(plan.target(shard)) as writer:
            _write_samples(writer, shard, plan.publish, protector, pool, tally)
            lines = "".join(json.dumps(record) + "\n" for record in tally.records)
            write_whole(plan.records(shard), lines.encode(), mode=0o600)
            _write_parquet(shard, plan, protector, tally)
            writer.commit()
        stats = _stats(tally, plan.publish) | {MARKER: marker(plan, shard, identity)}
        write_whole(plan.stats(shard), json.dumps(stats, indent=4).encode())
    except BaseException:  # Ctrl-C too: a tar without its stats would look finished to others
        with suppress(OSError):
            for path in (plan.target(shard), plan.parquet(shard), plan.records(shard)):
                path.unlink(missing_ok=True)
        raise
    return stats


def marker(plan: Plan, shard: Path, identity: str) -> dict[str, Any]:
    """What the stats say of the files they stand for."""
    parquet = plan.parquet(shard)
    return {
        "version": __version__,
        "run": identity,
        "sha256": file_hash(plan.target(shard)),
        "parquet_sha256": file_hash(parquet) if parquet.exists() else None,
    }


def _write_samples(
    writer: ShardWriter,
    shard: Path,
    publish: PublishSettings,
    protector: Protector,
    pool: ThreadPoolExecutor,
    tally: Tally,
) -> None:
    for outcome in _outcomes(shard, publish, protector, pool, tally):
        if outcome.failure and publish.on_error == "fail":
            raise SampleError(f"{shard.name}: {outcome.sample.key}: {outcome.failure}; use --on-error keep or skip")
        if not (outcome.failure and publish.on_error == "skip"):
            writer.write(outcome.sample)
        tally.add(outcome)


def _outcomes(
    shard: Path, publish: PublishSettings, protector: Protector, pool: ThreadPoolExecutor, tally: Tally
) -> Iterator[Outcome]:
    """Samples in their order, published; a chunk's files are made while the next chunk is protected."""
    waiting: list[Future[Outcome] | Outcome] = []
    items = _items(shard, publish, view_size(protector), pool, tally)
    for chunk in _chunks(items, protector.recipe.fit.batch):
        futures = _protect_chunk(chunk, protector, publish, pool)
        yield from map(_finished, waiting)
        waiting = futures
    yield from map(_finished, waiting)


def _finished(item: Future[Outcome] | Outcome) -> Outcome:
    return item if isinstance(item, Outcome) else item.result()


def _items(
    shard: Path, publish: PublishSettings, size: int, pool: ThreadPoolExecutor, tally: Tally
) -> Iterator[Ready | Outcome]:
    """Samples decoded ahead by the pool, a few at a time, in order."""
    ahead: deque[Future[Ready | Outcome]] = deque()
    seen: set[str] = set()
    try:
        for number, sample in enumerate(read_samples(shard)):
            if not publish.urls and (links := links_of(sample)):
                raise links_error(shard, links[0])
            again, compared = sample.key in seen, number % COMPARED == 0
            ahead.append(pool.submit(prepare, sample, publish, size, again, compared))
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


def view_size(protector: Protector) -> int:
    """Side of the views that it takes, 0 where it takes the whole picture instead."""
    return 0 if protector.recipe.whole else protector.size


def prepare(
    sample: Sample, publish: PublishSettings, size: int = 0, again: bool = False, compared: bool = True
) -> Ready | Outcome:
    """Decodes a sample, or says why it cannot be protected; `again`: its key was seen before, size 0: no view."""
    if not sample.key:
        return Outcome(sample)
    image = image_member(sample)
    if again or image is None:
        return Outcome(sample, failure=Failure("duplicate key" if again else "no image"))
    try:
        captions = captions_of(sample, publish.caption_keys)
        if not captions:
            return Outcome(sample, failure=Failure("no caption"))
        photo = decode(image.data, publish.max_pixels)
    except CaptionError as error:
        return Outcome(sample, failure=Failure("unreadable caption", str(error)))
    except ImageError as error:
        return Outcome(sample, failure=Failure("unusable image", str(error)))
    view = to_view(photo.color, size) if size else UNSEEN
    return Ready(sample, image, photo, view, captions, compared)


def _chunks(items: Iterator[Ready | Outcome], size: int) -> Iterator[list[Ready | Outcome]]:
    """Items in runs of at most `size` ready ones, cut earlier where the decoded pictures grow too large."""
    chunk: list[Ready | Outcome] = []
    ready = pixels = 0
    for item in items:
        chunk.append(item)
        if isinstance(item, Ready):
            ready += 1
            pixels += item.photo.size[0] * item.photo.size[1]
        if ready == size or pixels > CHUNK_PIXELS:
            yield chunk
            chunk, ready, pixels = [], 0, 0
    if chunk:
        yield chunk


def _protect_chunk(
    chunk: list[Ready | Outcome], protector: Protector, publish: PublishSettings, pool: ThreadPoolExecutor
) -> list[Future[Outcome] | Outcome]:
    """Noise and words for the ready samples of a chunk in one batch; their files are made by the pool.

    Noise that follows a picture to its borders has no shape in common with others: the pool makes that too.
    """
    ready = [item for item in chunk if isinstance(item, Ready)]
    if protector.recipe.whole:
        return [
            item if isinstance(item, Outcome) else pool.submit(_protect_whole, item, protector, publish)
            for item in chunk
        ]
    if not ready:
        return [item for item in chunk if isinstance(item, Outcome)]
    pixels = torch.from_numpy(np.stack([item.view for item in ready]))
    keys = tuple(item.sample.key for item in ready)
    protection = protector.protect(Batch(keys, to_images(pixels), tuple(item.captions for item in ready)))
    rows = iter(zip(protection.noise.numpy(), protection.words, strict=True))
    return [
        item if isinstance(item, Outcome) else pool.submit(_publish, item, *next(rows), protector.recipe, publish)
        for item in chunk
    ]


def _protect_whole(item: Ready, protector: Protector, publish: PublishSettings) -> Outcome:
    picture = Image.fromarray(np.ascontiguousarray(item.photo.color))
    noise, words, size = protector.protect_whole(item.sample.key, picture, item.captions)
    return _publish(item, noise, words, protector.recipe, publish, size)


def _publish(
    item: Ready, noise: np.ndarray, words: Words, recipe: Recipe, publish: PublishSettings, size: int | None = None
) -> Outcome:
    """The gate for one sample: picture and captions as files, read again and measured."""
    style = recipe.trigger.trigger_style
    try:
        published = publish_image(item.photo, noise, recipe.noise.epsilon, publish, item.compared, size)
        changed = rewrite_captions(item.sample, partial(write_words, words=words, style=style), publish)
    except (BudgetError, ImageError) as error:
        return Outcome(item.sample, failure=Failure("unusable image", str(error)))
    except CaptionError as error:
        return Outcome(item.sample, failure=Failure("unreadable caption", str(error)))
    changed = replace_members(changed, {split_name(item.image.name)[1]: published.data})
    written = captions_of(changed, publish.caption_keys)
    record = {
        "key": item.sample.key,
        "words": words,
        "captions": item.captions,
        "clean": hashlib.sha256(item.image.data).hexdigest(),
        "protected": hashlib.sha256(published.data).hexdigest(),
        **vars(published.change),
        "reencode": published.reencode and vars(published.reencode),
        "notes": published.notes,
        "survives": all(trigger_survives(caption, words, style) for caption in written),
    }
    return Outcome(changed, record)


def try_samples(
    samples: list[Sample], protector: Protector, publish: PublishSettings, pool: ThreadPoolExecutor
) -> list[Outcome]:
    """Protects a few samples as a shard would and writes nothing."""
    items = list(pool.map(lambda sample: prepare(sample, publish, view_size(protector)), samples))
    return [_finished(item) for item in _protect_chunk(items, protector, publish, pool)]


def _write_parquet(shard: Path, plan: Plan, protector: Protector, tally: Tally) -> None:
    source = sibling_parquet(shard)
    if source is None:
        return
    style = protector.recipe.trigger.trigger_style
    changes = {r["key"]: partial(write_words, words=r["words"], style=style) for r in tally.records}
    dropped = {e["key"] for e in tally.errors} - set(changes) if plan.publish.on_error == "skip" else set()
    rewrite_parquet(source, plan.parquet(shard), changes, dropped, plan.publish)


def _stats(tally: Tally, publish: PublishSettings) -> dict[str, Any]:
    """img2dataset's fields and ours; times are null (they go to the log) so that a rerun writes the same bytes."""
    count, successes = sum(tally.status.values()), tally.status["success"]
    reencoded = Tally(records=[r["reencode"] for r in tally.records if r["reencode"]])
    planted = [r for r in tally.records if r["words"]]
    return {
        "count": count,
        "successes": successes,
        "failed_to_download": 0,
        "failed_to_resize": 0,
        "duration": None,
        "start_time": None,
        "end_time": None,
        "status_dict": dict(sorted(tally.status.items())),
        "protected": successes,
        "skipped": count - successes if publish.on_error == "skip" else 0,
        "failed_to_protect": count - successes,
        "linf": max((r["linf"] for r in tally.records), default=None),
        "psnr": tally.mean("psnr"),
        "ssim": tally.mean("ssim"),
        "psnr_clean_reencode": reencoded.mean("psnr"),
        "ssim_clean_reencode": reencoded.mean("ssim"),
        "trigger_survival": (
            sum(r["survives"] for r in planted) / len(planted) if planted else None
        ),
        "errors": tally.errors,
    }  # fmt: skip


def file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
