"""What in a folder of protected photos still leads to the clean ones: every file as it lies there is looked at."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

from protect.data.captions import fold
from protect.data.file_types import HEAD, kind_of
from protect.data.images import ImageError
from protect.data.photo_files import Unsuited, read_still
from protect.data.photo_folder import CAPTIONS, Entry, walk
from protect.jobs.photos.records import PhotoRecord, read_records
from protect.publish.leaks import Leak, scan_sample
from protect.settings.publish import PublishSettings
from protect.types import Member, Sample

NAMES = {"JPEG": "photo.jpg", "PNG": "photo.png", "WEBP": "photo.webp"}
TEXT_FORMS = ("utf-8", "utf-16-le", "utf-16-be")
MOST_PIXELS = 400_000_000


def scan_photos(out: Path) -> Iterator[Leak]:
    """Leaks of the files below OUT of `protect photos`, measured against its private records."""
    records = read_records(out)
    for entry in walk(out):
        if entry.kind == "photo":
            yield from _photo_leaks(entry, records)
            for name in entry.sidecars:
                yield from _text_leaks(entry.path.with_name(name), records.get(entry.name))
        elif entry.kind == "failed":
            yield Leak(entry.name, "", "unreadable", entry.reason)
    yield from _list_leaks(out / CAPTIONS, records)


def _photo_leaks(entry: Entry, records: Mapping[str, PhotoRecord]) -> Iterator[Leak]:
    record = records.get(entry.name)
    if record is None or record.status != "protected":
        yield Leak(entry.name, "", "extra picture", "not made by this run")
        return
    clean = [record.caption_before] if _changed(record) else []
    data = entry.path.read_bytes()
    kind = kind_of(data[:HEAD])
    if kind in NAMES:
        sample = Sample(entry.name, (Member(NAMES[kind], data),))
        yield from scan_sample(sample, entry.name, clean, PublishSettings().caption_keys)
    else:
        yield from _container_leaks(entry, clean)
    for form in TEXT_FORMS:
        data = data.replace(record.caption.encode(form), b"")
    for form in TEXT_FORMS:
        if any(text.encode(form) in data for text in clean):
            yield Leak(entry.name, "", "caption", f"a clean caption in {form}")


def _changed(record: PhotoRecord) -> bool:
    """Whether the photo had a caption of its own that was published otherwise."""
    return bool(record.caption_before) and not record.suggested and record.caption != record.caption_before


def _container_leaks(entry: Entry, clean: list[str]) -> Iterator[Leak]:
    """Leaks of a TIFF, AVIF or HEIC, as far as their own readers see into them."""
    try:
        still = read_still(entry.path, MOST_PIXELS)
    except (ImageError, Unsuited, ImportError) as error:
        yield Leak(entry.name, "", "unreadable", str(error))
        return
    if any(note.startswith("further pictures") for note in still.notes):
        yield Leak(entry.name, "", "extra picture", "a preview, depth or gain map")
    known = {fold(text) for text in clean}
    for place, text in still.metadata.captions.items():
        if fold(text) in known:
            yield Leak(entry.name, "", "caption", place)


def _text_leaks(path: Path, record: PhotoRecord | None) -> Iterator[Leak]:
    text = path.read_text("utf-8", errors="replace")
    if record is None or not _changed(record):
        return
    if record.caption_before in text.replace(record.caption, ""):
        yield Leak(path.name, "", "caption", "a clean caption")


def _list_leaks(path: Path, records: Mapping[str, PhotoRecord]) -> Iterator[Leak]:
    if not path.exists():
        return
    with path.open(newline="", errors="surrogateescape") as file:
        for row in list(csv.reader(file))[1:]:
            record = records.get(row[0])
            if record is None or record.status != "protected" or row[1] != record.caption:
                yield Leak(path.name, row[0], "caption", "not the protected text")
