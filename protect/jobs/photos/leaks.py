"""What in a folder of protected photos still leads to the clean ones: every file as it lies there is looked at."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

from protect.data.file_types import HEAD, kind_of
from protect.data.images import ImageError
from protect.data.photo_files import Unsuited, read_still
from protect.data.photo_folder import CAPTIONS, Entry, walk
from protect.data.text import fold
from protect.jobs.photos.records import PhotoRecord, read_records
from protect.publish.leaks import Leak, Originals, Scan, plain_key
from protect.settings.publish import PublishSettings

NAMES = {"JPEG": "photo.jpg", "PNG": "photo.png", "WEBP": "photo.webp"}
TEXT_FORMS = ("utf-8", "utf-16-le", "utf-16-be")
LEAST = 6  # letters of a caption that is looked for in coded pixels too: shorter ones stand there by chance
MOST_PIXELS = 400_000_000


def scan_photos(out: Path, source: Path | None = None) -> Iterator[Leak]:
    """Leaks of the files below OUT of `protect photos`, measured against its private records and the clean photos."""
    records = read_records(out)
    for entry in walk(out):
        if entry.kind == "photo":
            yield from _photo_leaks(entry, records, source)
        elif entry.kind == "failed":
            yield Leak(entry.name, "", "unreadable", entry.reason)
    yield from _list_leaks(out / CAPTIONS, records)


def _photo_leaks(entry: Entry, records: Mapping[str, PhotoRecord], source: Path | None) -> Iterator[Leak]:
    record = records.get(entry.name)
    if record is None or record.status != "protected":
        yield Leak(entry.name, "", "extra picture", "not made by this run")
        return
    clean = [record.caption_before] if _changed(record) else []
    original = source / entry.name if source else None
    picture = original.read_bytes() if original is not None and original.is_file() else b""
    originals = Originals(PublishSettings().caption_keys)
    originals.add(entry.name, clean, [record.caption], picture)
    originals.pictures.files = {plain_key(entry.name): picture} if picture else {}
    data = entry.path.read_bytes()
    kind = kind_of(data[:HEAD])
    scan = Scan(entry.name, originals)
    yield from scan.member(entry.name, NAMES.get(kind, f"photo.{kind.lower()}"), data, is_main=True)
    for name in sorted(set(entry.sidecars) - set(entry.borrowed)):  # those hold another photo's caption
        ending = name.rpartition(".")[2]
        yield from scan.member(entry.name, f"photo.{ending}", entry.path.with_name(name).read_bytes())
    yield from scan.finish()
    if kind not in NAMES:
        yield from _container_leaks(entry, clean)
    for form in TEXT_FORMS:
        data = data.replace(record.caption.encode(form), b"")
    for form in TEXT_FORMS:
        if any(len(text) >= LEAST and text.encode(form) in data for text in clean):
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


def _list_leaks(path: Path, records: Mapping[str, PhotoRecord]) -> Iterator[Leak]:
    if not path.exists():
        return
    with path.open(newline="", errors="surrogateescape") as file:
        for row in list(csv.reader(file))[1:]:
            record = records.get(row[0])
            if record is None or record.status != "protected" or row[1] != record.caption:
                yield Leak(path.name, row[0], "caption", "not the protected text")
