"""A whole folder: every photo protected and written as soon as it is done; killed at any moment it goes on."""

import errno
import hashlib
import json
import os
import time
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from protect import __version__
from protect.data.caption_lists import read_list
from protect.data.photo_captions import find_caption, sidecar_texts
from protect.data.photo_files import Unsuited, read_head
from protect.data.photo_folder import Entry, walk
from protect.files import HOME, write_whole
from protect.jobs.photos.gallery import make_pictures, write_gallery
from protect.jobs.photos.key import KEY, key_protector, own_key, own_words
from protect.jobs.photos.photo import Marked, protect_photo
from protect.jobs.photos.records import PhotoRecord, append_record, read_records, write_list, write_records
from protect.jobs.plan import check_places
from protect.methods.parts.keywords import Vocabulary
from protect.methods.protector import Protector
from protect.settings.publish import PhotoSettings

Report = Callable[[PhotoRecord, bool], None]  # the record of a file, and whether this run made it
COUNTED = 500  # photos whose captions show which words are frequent: heads of files, a second or so
FEW = 20  # captions
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # what one photo meets, the next one meets too

T = TypeVar("T")


@dataclass(frozen=True)
class PhotoJob:
    """A source folder, where its protected copy goes, and all that decides what is written."""

    source: Path
    out: Path
    settings: PhotoSettings
    protector: Protector
    listed: dict[str, str]  # the captions of captions.csv by name of file
    wanted: Mapping[str, str] = field(default_factory=dict)  # texts chosen among the suggested ones, likewise

    @cached_property
    def identity(self) -> str:
        """What every file is made with; a change of it protects all files anew."""
        return json.dumps([__version__, asdict(self.settings), self.protector.hash], sort_keys=True)

    @cached_property
    def case_matters(self) -> bool:
        """Whether OUT keeps names apart that differ only in case."""
        probe = self.out / HOME / "private" / "Case.probe"
        write_whole(probe, b"")
        try:
            return not probe.with_name("case.probe").exists()
        finally:
            probe.unlink()

    def stamp(self, entry: Entry) -> str:
        """Size and time of the photo and its texts, and what they are protected with."""
        files = [entry.path, *(entry.path.with_name(name) for name in entry.sidecars)]
        about = [(path.name, status.st_size, status.st_mtime_ns) for path in files if (status := path.stat())]
        text = json.dumps([about, self.listed.get(entry.name), self.identity])
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def make_job(
    source: Path, out: Path, settings: PhotoSettings, protector: Protector | None = None, dry: bool = False
) -> PhotoJob:
    """Checks the places, makes OUT and, where no protector is given, draws one from the user's own key and words.

    A `dry` job writes nothing: where there is no key yet it has another one. Raises PlanError, CaptionsError,
    ValueError on a damaged key or list of words, OSError of the disk.
    """
    check_places(source, out)
    listed = read_list(source)
    private = out / HOME / "private"
    if not dry:
        (out / HOME).mkdir(parents=True, exist_ok=True)
        private.mkdir(exist_ok=True, mode=0o700)
    if protector is None:
        drawn = settings.seed is None and (not dry or (private / KEY).exists())
        key = own_key(private) if drawn else settings.seed or 0
        words = own_words(private, lambda: count_words(source, out, settings, listed), dry)
        protector = key_protector(key, settings.trigger_words, words)
    return PhotoJob(source, out, settings, protector, listed)


def count_files(job: PhotoJob) -> int:
    """Files that a run reports on."""
    return sum(1 for _ in walk(job.source, avoid=job.out.resolve()))


def count_words(source: Path, out: Path, settings: PhotoSettings, listed: Mapping[str, str]) -> Vocabulary:
    """How many captions of the folder have each word, by COUNTED photos evenly drawn; no picture is decoded.

    Of fewer than FEW captions nothing is known: a word in three of five may be rare in the next hundred.
    """
    photos = [entry for entry in walk(source, avoid=out.resolve()) if entry.kind == "photo"]
    captions = []
    for entry in evenly(photos, COUNTED):
        with suppress(Exception):  # the run says so by name
            head = read_head(entry.path, settings.max_pixels)
            captions.append(find_caption(entry, head, listed, settings.caption_from, sidecar_texts(entry)).text)
    return word_counts(captions)


def word_counts(captions: Iterable[str]) -> Vocabulary:
    """How many of the captions have each word; empty ones do not count, and of too few nothing is known."""
    texts = [(caption,) for caption in captions if caption]
    return Vocabulary.of(texts) if len(texts) >= FEW else Vocabulary(0, {})


def evenly(items: Sequence[T], most: int) -> Sequence[T]:
    """At most so many of the items, drawn at even distances."""
    return items[:: -(-len(items) // most) or 1]


def resume(job: PhotoJob) -> dict[str, PhotoRecord]:
    """What earlier runs have done, after the traces of a kill are swept away."""
    for part in job.out.rglob("*.part"):
        if part.is_file():  # a folder of photos may have such a name too
            part.unlink(missing_ok=True)
    before = read_records(job.out)
    write_records(job.out, before.values())
    return before


def finish(job: PhotoJob, records: dict[str, PhotoRecord]) -> None:
    """Writes the records, one line a file, OUT/captions.csv and the gallery."""
    ordered = [records[name] for name in sorted(records)]
    write_records(job.out, ordered)
    write_list(job.out, ordered)
    write_gallery(job.out, job.source, ordered)


class Names:
    """Keeps two files apart that OUT would take for one, as their names differ in case alone."""

    def __init__(self, job: PhotoJob) -> None:
        self.job = job
        self.taken: dict[str, str] = {}

    def refusal(self, entry: Entry) -> PhotoRecord | None:
        """The record of a photo whose name is taken, else None."""
        if entry.kind != "photo" or self.job.case_matters:
            return None
        folded = unicodedata.normalize("NFC", entry.name).casefold()
        first = self.taken.setdefault(folded, entry.name)
        if first == entry.name:
            return None
        reason = f"{first} has the same name but for upper and lower case, and OUT keeps only one: rename it"
        return PhotoRecord(entry.name, "failed", reason)


def protect_entry(job: PhotoJob, entry: Entry, before: PhotoRecord | None = None) -> PhotoRecord:
    """One file, protected and written if it is a photo that is new or has changed; its record is on the disk then."""
    record = make_entry(job, entry, before)
    note(job, record, before)
    return record


def note(job: PhotoJob, record: PhotoRecord, before: PhotoRecord | None) -> None:
    """Adds the record of a file to those of the run: of a photo that was protected, or is not any more."""
    if record is not before and "protected" in (record.status, before and before.status):
        append_record(job.out, record)


def make_entry(job: PhotoJob, entry: Entry, before: PhotoRecord | None = None) -> PhotoRecord:
    """As `protect_entry`, but for the record: it is returned alone, so that several processes may do this.

    Whatever goes wrong with the photo ends up in the record. OSError is raised only where OUT can hold no photo at
    all: it is full, read-only or gone.
    """
    if entry.kind != "photo":
        record = PhotoRecord(entry.name, "failed" if entry.kind == "failed" else "skipped", entry.reason)
        return _closed(job, record, before)
    begin = time.perf_counter()
    try:
        stamp = job.stamp(entry)
        if before is not None and is_done(job, before, stamp):
            return before
        made = protect_photo(entry, job.listed, job.protector, job.settings, job.wanted.get(entry.name, ""))
    except Marked as error:
        done = before is not None and before.status == "protected" and (job.out / before.name).exists()
        return before if before and done else PhotoRecord(entry.name, "skipped", str(error))
    except Unsuited as error:
        return _closed(job, PhotoRecord(entry.name, "skipped", str(error)), before)
    except Exception as error:  # hostile bytes: parsers raise nearly anything
        return _closed(job, PhotoRecord(entry.name, "failed", reason_of(error)), before)
    try:
        made.write(job.out)
        _keep_times(job, entry, (entry.path.name, *made.sidecars))
        record = replace(made.record, stamp=stamp, original=entry.path.stat().st_size)
    except OSError as error:
        if _out_is_lost(job.out, error):
            raise
        return _closed(job, PhotoRecord(entry.name, "failed", f"cannot be written: {reason_of(error)}"), before)
    notes = [record.reason] if record.reason else []
    if entry.borrowed:
        notes.append(f"its text is written with the photo that {' and '.join(entry.borrowed)} belongs to")
    record = replace(record, reason="; ".join(notes), seconds=round(time.perf_counter() - begin, 3))
    make_pictures(job.out, job.source, record)
    return record


def _keep_times(job: PhotoJob, entry: Entry, names: Iterable[str]) -> None:
    """The files of a photo are as old as its originals: a photo without a date in it is sorted by that."""
    for name in names:
        source = entry.path.with_name(name).stat()
        with suppress(OSError):  # some shares allow no times
            os.utime((job.out / entry.name).with_name(name), ns=(source.st_atime_ns, source.st_mtime_ns))


def reason_of(error: Exception) -> str:
    """What went wrong, in one line."""
    return " ".join(str(error).split()) or type(error).__name__


def _out_is_lost(out: Path, error: OSError) -> bool:
    """Whether no photo can be written any more, as against this one alone (its name, say)."""
    if error.errno in NO_ROOM:
        return True
    probe = out / HOME / "private" / f"out{os.getpid()}.probe"
    try:
        write_whole(probe, b"")
        probe.unlink()
    except OSError:
        return True
    return False


def is_done(job: PhotoJob, before: PhotoRecord, stamp: str) -> bool:
    """Whether the photo is the one that was protected, and its file still the one that was written."""
    with suppress(OSError):
        return before.stamp == stamp and (job.out / before.name).stat().st_size == before.written > 0
    return False


def _closed(job: PhotoJob, record: PhotoRecord, before: PhotoRecord | None) -> PhotoRecord:
    """Takes away what an earlier run wrote for a file that is not protected any more."""
    if before is not None and before.status == "protected":
        (job.out / record.name).unlink(missing_ok=True)
    return before if record == before else record
