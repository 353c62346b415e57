"""What was done with a folder of photos, or would be, in lines a person can read."""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import fmean
from typing import Any

from protect.clip.device import cores
from protect.data.photo_folder import Entry, walk
from protect.files import HOME
from protect.jobs.photos.job import PhotoJob, is_done
from protect.jobs.photos.photo import protect_photo
from protect.jobs.photos.records import PhotoRecord, read_records
from protect.settings.publish import STRENGTHS

PROBE = 3  # photos a dry run protects in memory to estimate time
NAMED = 20  # files named in a summary, at most
UNITS = ("bytes", "kB", "MB", "GB")
GROWTH = 2.0  # times its own size, from which on a file is named


def readable(name: str) -> str:
    """A name as it can be printed, whatever bytes it has."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def status_line(record: PhotoRecord, fresh: bool = True) -> str:
    """One file in one line."""
    name = readable(record.name)
    if record.status != "protected":
        return f"{record.status}: {name}: {readable(record.reason)}"
    if not fresh:
        return f"done before: {name}"
    about = f"epsilon {record.epsilon:g}, SSIM {record.ssim:.3f}, {record.seconds:.1f} s"
    grown = f"grew from {size_text(record.original)} to {size_text(record.written)}" if has_grown(record) else ""
    notes = [readable(record.reason), grown, "epsilon lowered to keep the photo's looks" if record.lowered else ""]
    return "; ".join([f"protected: {name}: {about}", *filter(None, notes)])


def has_grown(record: PhotoRecord) -> bool:
    """Whether a file is more than GROWTH times as long as its original: noise cannot be packed."""
    return record.written > GROWTH * record.original > 0


def size_text(count: int) -> str:
    """Bytes as a person reads them."""
    power = min(3, (len(str(count)) - 1) // 3)
    size = count / 1000**power
    return f"{size:.3g} {UNITS[power]}" if size < 100 else f"{size:.0f} {UNITS[power]}"


def summary(out: Path, records: Sequence[PhotoRecord]) -> dict[str, Any]:
    """Counts and mean figures of a run, with the same as `text`."""
    protected = [record for record in records if record.status == "protected"]
    counts = Counter(record.status for record in records)
    total: dict[str, Any] = {
        "files": len(records),
        "protected": counts["protected"],
        "skipped": counts["skipped"],
        "failed": counts["failed"],
        "lowered": sum(record.lowered for record in protected),
        "grown": sum(map(has_grown, protected)),
        "without_caption": sum(record.suggested for record in protected),
        "psnr": round(fmean(r.psnr for r in protected), 2) if protected else None,
        "ssim": round(fmean(r.ssim for r in protected), 4) if protected else None,
        "failures": [
            {"name": readable(r.name), "reason": readable(r.reason)} for r in records if r.status == "failed"
        ],
        "out": str(out),
    }
    return total | {"text": "\n".join(_lines(total, records, out))}


def _count(number: int, thing: str) -> str:
    return f"1 {thing}" if number == 1 else f"{number} {thing}s"


def _lines(total: dict[str, Any], records: Sequence[PhotoRecord], out: Path) -> Iterable[str]:
    skipped = _count(total["skipped"], "file")
    yield f"{_count(total['protected'], 'photo')} protected, {skipped} skipped, {total['failed']} failed: {out}"
    if total["protected"]:
        yield f"distortion: PSNR {total['psnr']:.1f} dB, SSIM {total['ssim']:.4f} at display size"
        yield f"post each photo with its text in {out / 'captions.csv'}: the noise only works with this text"
    if total["without_caption"]:
        yield f"{_count(total['without_caption'], 'photo')} had no caption: the texts in the list are suggestions"
    if total["lowered"]:
        yield f"{_count(total['lowered'], 'photo')} got less noise than asked for, to keep their quality"
    yield from _grown([record for record in records if record.status == "protected" and has_grown(record)])
    movies = sum(record.reason.find("a movie") >= 0 or "the movie of" in record.reason for record in records)
    if movies:
        yield f"movies cannot be protected (here {movies}): do not publish them beside the photos"
    yield from _named(total["failures"])
    yield f"never publish {out / HOME / 'private'}: it undoes the protection"


def _grown(records: Sequence[PhotoRecord]) -> Iterable[str]:
    if not records:
        return
    files = "1 file is" if len(records) == 1 else f"{len(records)} files are"
    yield f"{files} more than twice as long as before, since noise cannot be packed without loss:"
    for record in sorted(records, key=lambda record: record.original - record.written)[:NAMED]:
        yield f"  {readable(record.name)}: {size_text(record.original)} to {size_text(record.written)}"
    if len(records) > NAMED:
        yield f"  ... and {len(records) - NAMED} more"
    yield "  to keep them short, save screenshots and scans as JPEG first; for photos use --quality 80"


def _named(failures: Sequence[dict[str, str]]) -> Iterable[str]:
    if failures:
        yield "not protected, and not in OUT:"
    for failure in failures[:NAMED]:
        yield f"  {failure['name']}: {failure['reason']}"
    if len(failures) > NAMED:
        yield f"  ... and {len(failures) - NAMED} more"


def estimate(job: PhotoJob, jobs: int | None = 1) -> dict[str, Any]:
    """What a run would do, and how long it would take by a few photos that are protected in memory.

    With several processes (None: one a core) the time is that of one, shared out evenly.
    """
    before = read_records(job.out)
    entries = list(walk(job.source, avoid=job.out.resolve()))
    photos = [entry for entry in entries if entry.kind == "photo"]
    new = [entry for entry in photos if not _done(job, entry, before.get(entry.name))]
    processes = max(1, min(jobs or cores(), len(new)))
    seconds = len(new) * _pace(job, new[:: max(1, len(new) // PROBE)][:PROBE]) / processes
    reasons = Counter(entry.reason for entry in entries if entry.kind in ("skipped", "failed"))
    strength = STRENGTHS[job.settings.strength]
    looks = f"epsilon {strength.epsilon:g}, SSIM about {strength.ssim:.2f} at display size"
    shared = f" with {processes} processes" if processes > 1 else ""
    lines = [
        f"{len(photos)} photos in {len(entries)} files -> {job.out}",
        f"{len(photos) - len(new)} are done, {len(new)} would be protected: about {seconds:.0f} s{shared}",
        f"{job.settings.strength}: {looks}: {strength.effect}",
        *(f"left out: {count} x {readable(reason)}" for reason, count in reasons.most_common(NAMED)),
        "nothing was written",
    ]
    return {
        "files": len(entries),
        "photos": len(photos),
        "new": len(new),
        "seconds": round(seconds, 1),
        "processes": processes,
        "left_out": dict(reasons),
        "text": "\n".join(lines),
    }


def _done(job: PhotoJob, entry: Entry, before: PhotoRecord | None) -> bool:
    with suppress(OSError):
        return before is not None and is_done(job, before, job.stamp(entry))
    return False


def _pace(job: PhotoJob, entries: Sequence[Entry]) -> float:
    """Seconds a photo takes, by the mean of those that can be protected."""
    times = []
    for entry in entries:
        begin = time.perf_counter()
        with suppress(Exception):  # the run says so by name
            protect_photo(entry, job.listed, job.protector, job.settings)
            times.append(time.perf_counter() - begin)
    return fmean(times) if times else 0.0
