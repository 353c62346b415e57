"""Originals as they arrive: streamed into a private folder within limits, removed when the page closes."""

import hashlib
import shutil
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import IO

from protect.data.caption_lists import CaptionsError, read_list
from protect.data.file_types import MOVIE_NAMES, PICTURE_NAMES, RAW_NAMES, REFUSED, SIDECAR_NAMES
from protect.data.photo_folder import LONGEST, Entry, is_list
from protect.data.sidecar_names import Owners, owners_of, takeout_title
from protect.files import PlanError
from protect.jobs.web.photos import Photo
from protect.settings.web import WebSettings

MB = 1_000_000
TEXT_BYTES = LONGEST * 16  # of one text file that is taken
PART = ".upload"  # ending of a file that is still arriving


class Refused(ValueError):
    """An upload beyond a limit."""


class Uploads:
    """The private folder of one server. A server that was killed left its folder; the next one empties it."""

    def __init__(self, folder: Path, limits: WebSettings) -> None:
        self.folder, self.limits = folder, limits
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = _only_one(folder.with_suffix(".lock"))
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        self.used = 0

    def path(self, photo: Photo) -> Path:
        return self.folder / photo.file

    def small(self, id: int) -> Path:
        """Where the small picture of an original is kept."""
        return self.folder / f"{id}.small"

    async def receive(self, photo: Photo, stream: AsyncIterator[bytes]) -> str:
        """Writes an original as it arrives; returns its SHA-256. Raises Refused at the first byte too many."""
        part, digest, size = self.folder / f"{photo.id}{PART}", hashlib.sha256(), 0
        most, left = self.limits.max_file_mb * MB, self.limits.max_total_mb * MB - self.used
        try:
            with part.open("wb") as file:
                async for piece in stream:
                    size += len(piece)
                    if size > most:
                        raise Refused(f"larger than {self.limits.max_file_mb} MB; --max-file-mb allows more")
                    if size > left:
                        raise Refused(f"all together larger than {self.limits.max_total_mb} MB: drop fewer at once")
                    digest.update(piece)
                    file.write(piece)
            part.replace(self.path(photo))
            self.used += size
        finally:
            part.unlink(missing_ok=True)
        return digest.hexdigest()

    def forget(self, photo: Photo) -> None:
        """Removes an original."""
        path = self.path(photo)
        if photo.here and path.exists():
            self.used -= path.stat().st_size
            path.unlink()
        self.small(photo.id).unlink(missing_ok=True)

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.close()


class Drop:
    """What was dropped at once: photos, and the texts among which their captions are looked for.

    Texts have to be uploaded before the photos.
    """

    def __init__(self, folder: Path, number: int, names: list[str]) -> None:
        self.folder, self.number, self.names = folder, number, names
        self.texts: dict[str, Path] = {}
        self.listed: dict[str, str] = {}
        self._owners: dict[str, Owners] = {}

    def add_text(self, number: int, data: bytes) -> None:
        """Takes the text file of that number among the dropped names. Raises Refused for a list that is none."""
        name = self.names[number]
        prefix, _, last = name.rpartition("/")
        path = self.folder / f"text-{self.number}-{number}{ending_of(name)}"
        if is_list(last):
            self._add_list(prefix, last, path, data)
        elif ending_of(name) in SIDECAR_NAMES:
            path.write_bytes(data)
            self.texts[name] = path

    def _add_list(self, prefix: str, last: str, folder: Path, data: bytes) -> None:
        """A list is read from a folder of its own, where it has one of the names that lists have."""
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / last.lower()).write_bytes(data)
        try:
            rows = read_list(folder)
        except CaptionsError:
            raise Refused(f"{last}: expected the columns file and caption") from None
        self.listed = {_in(prefix, file): text for file, text in rows.items()} | self.listed

    def entry(self, photo: Photo, path: Path) -> Entry:
        """The photo with the texts that speak of it, as `protect photos` would find it in its folder."""
        folder, _, last = photo.name.rpartition("/")
        if folder not in self._owners:
            self._owners[folder] = self._owners_in(folder)
        spoken = [text for text, names in self._owners[folder].items() if last in names]
        return Entry(photo.name, path, "photo", sidecars=tuple(self.texts[_in(folder, t)].name for t in spoken))

    def _owners_in(self, folder: str) -> Owners:
        inside = [name.rpartition("/")[2] for name in self.names if name.rpartition("/")[0] == folder]
        photos = sorted(name for name in inside if ending_of(name) in PICTURE_NAMES)
        texts = sorted(n for n in inside if ending_of(n) in SIDECAR_NAMES and _in(folder, n) in self.texts)
        return owners_of(photos, texts, lambda text: takeout_title(self.texts[_in(folder, text)].read_bytes()))


def use_of(name: str) -> Mapping[str, str]:
    """What is done with a dropped file, by its name: {"kind": "photo" | "text" | "left", "reason": ...}."""
    ending = ending_of(name)
    last = name.rpartition("/")[2]
    if last.startswith("."):
        return {"kind": "left", "reason": "hidden file"}
    if ending in PICTURE_NAMES:
        return {"kind": "photo"}
    if ending in SIDECAR_NAMES or is_list(last):
        return {"kind": "text"}
    for kind, endings in (("RAW", RAW_NAMES), ("MOVIE", MOVIE_NAMES)):
        if ending in endings:
            return {"kind": "left", "reason": REFUSED[kind]}
    return {"kind": "left", "reason": "not a picture"}


def ending_of(name: str) -> str:
    last = name.rpartition("/")[2]
    return ("." + last.rpartition(".")[2].lower()) if "." in last else ""


def _in(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _only_one(path: Path) -> IO[str]:
    """Holds a lock that the system frees when this process ends; PlanError where another server has it."""
    file = path.open("w")
    try:
        import fcntl
    except ImportError:  # Windows: two servers on one OUT are the user's own doing
        return file
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        out = path.parent.parent.parent
        raise PlanError(f"{out}: another `protect web` uses it; open its page, or choose another OUT") from None
    return file
