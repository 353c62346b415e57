"""What the user takes home: one protected photo, or a zip of all with their captions and a page to look at them."""

import csv
import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from protect.data.photo_folder import CAPTIONS
from protect.jobs.photos.gallery import FOLDER, LIST, PAGE, make_pictures, page, record_as_shown
from protect.jobs.web.photos import Photo

PIECE = 1 << 20  # bytes read at a time
UNSAFE = set('<>:"|?*\\/')  # in names, on one system or another
RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
PICTURES = "gallery-files"  # folder of the zip's page


def safe_name(name: str) -> str:
    """A name for the user's disk, folders kept: no way up, no drive, nothing that some system refuses."""
    parts = []
    for part in name.replace("\\", "/").split("/"):
        clean = "".join("_" if c in UNSAFE or not c.isprintable() else c for c in part).strip(". ")
        if clean:
            parts.append(f"_{clean}" if clean.partition(".")[0].lower() in RESERVED else clean)
    return "/".join(parts) or "photo"


def unique_names(names: Sequence[str]) -> list[str]:
    """Safe names of which no two are taken for one, by systems that do not tell cases apart either."""
    taken: set[str] = {PAGE, CAPTIONS, PICTURES}
    unique = []
    for name in map(safe_name, names):
        head, dot, ending = name.rpartition(".")
        number, free = 2, name
        while free.casefold() in taken:
            free, number = (f"{head} ({number}).{ending}" if dot else f"{name} ({number})"), number + 1
        taken.add(free.casefold())
        unique.append(free)
    return unique


class Sink(io.RawIOBase):
    """A file that can only be written, and is emptied by who sends it on."""

    def __init__(self) -> None:
        self.waiting = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.waiting += data
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self.waiting)
        self.waiting.clear()
        return taken


def zip_pieces(out: Path, source: Path, photos: Sequence[Photo]) -> Iterator[bytes]:
    """The zip of all finished photos, piece by piece: memory does not grow with their number.

    Nothing private is in it: no original, no former caption, no key.
    """
    done = [photo for photo in photos if photo.record and (out / photo.file).is_file()]
    names = unique_names([photo.name for photo in done])
    sink, shown = Sink(), []
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for photo, name in zip(done, names, strict=True):
            yield from _add_file(archive, sink, out / photo.file, name)
            shown.append(_shown(archive, out, source, photo, name))
            yield sink.take()
        archive.writestr(CAPTIONS, _captions(done, names))
        archive.writestr(PAGE, page(PICTURES))
        listed = {"private": f"{PICTURES}/", "photos": shown, "alone": True}
        archive.writestr(f"{PICTURES}/{LIST}", f"window.PHOTOS = {json.dumps(listed, allow_nan=False)};\n")
    yield sink.take()


def _add_file(archive: zipfile.ZipFile, sink: Sink, path: Path, name: str) -> Iterator[bytes]:
    about = zipfile.ZipInfo.from_file(path, name, strict_timestamps=False)
    with path.open("rb") as file, archive.open(about, "w") as member:
        while piece := file.read(PIECE):
            member.write(piece)
            yield sink.take()


def _shown(archive: zipfile.ZipFile, out: Path, source: Path, photo: Photo, name: str) -> dict[str, Any]:
    """The photo as the zip's page lists it, its small picture added."""
    assert photo.record is not None
    values = record_as_shown(photo.record, name)
    for private in ("former", "from", "reason"):
        values.pop(private, None)
    if small := make_pictures(out, source, photo.record).get("small"):
        archive.write(out / FOLDER / small, f"{PICTURES}/{small}")
        values["small"] = small
    return values


def _captions(photos: Sequence[Photo], names: Sequence[str]) -> str:
    lines = io.StringIO(newline="")
    writer = csv.writer(lines)
    writer.writerow(("file", "caption", "suggested"))
    for photo, name in zip(photos, names, strict=True):
        if photo.record:
            writer.writerow((name, photo.record.caption, "yes" if photo.record.suggested else ""))
    return lines.getvalue()
