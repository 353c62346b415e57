"""Protects what is dropped into a folder, until stopped."""

import time
from collections.abc import Callable
from pathlib import Path

from protect.data.photo_folder import Entry, walk
from protect.jobs.photos.job import Names, PhotoJob, Report, finish, protect_entry, resume
from protect.jobs.photos.records import PhotoRecord
from protect.jobs.photos.run import one_thread

Sight = tuple[int, int]  # size in bytes, time of the last change


def watch(
    job: PhotoJob,
    report: Report = lambda record, fresh: None,
    interval: float = 2.0,
    pause: Callable[[float], None] | None = None,
) -> dict[str, PhotoRecord]:
    """Looks through the folder again and again until KeyboardInterrupt; returns the record of every file seen.

    A file is taken once two looks, `interval` seconds apart, found it alike: until then it may still grow.
    """
    records = resume(job)
    seen: dict[str, tuple[Sight, ...]] = {}
    done: dict[str, tuple[Sight, ...]] = {}
    try:
        while True:
            before, names = dict(records), Names(job)
            for entry in walk(job.source, avoid=job.out.resolve()):
                now = _sights(entry)
                if done.get(entry.name) == now:
                    names.refusal(entry)
                elif seen.get(entry.name) != now:
                    seen[entry.name] = now
                else:
                    with one_thread():
                        record = names.refusal(entry) or protect_entry(job, entry, records.get(entry.name))
                    report(record, record is not records.get(entry.name))
                    records[entry.name], done[entry.name] = record, now
            if records != before:
                finish(job, records)
            (pause or time.sleep)(interval)
    except KeyboardInterrupt:
        return records
    finally:
        finish(job, records)


def _sights(entry: Entry) -> tuple[Sight, ...]:
    """A file and its texts as they stand; () for one that is gone again."""
    paths = [entry.path, *(entry.path.with_name(name) for name in entry.sidecars)]
    try:
        return tuple((status.st_size, status.st_mtime_ns) for status in map(Path.stat, paths))
    except OSError:
        return ()
