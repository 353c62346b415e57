"""The photos on the page: an index from numbers to files, so that no name a browser sends becomes a path."""

import os
import re
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from protect.data.file_types import PICTURE_NAMES
from protect.data.journal import Journal
from protect.files import HOME
from protect.jobs.photos.records import PhotoRecord, read_records

NAMES = "web.jsonl"
KEPT = ("sha256", "strength", "language", "wanted")  # fields of a finished photo that servers to come need
SLUG = 40  # letters of a name that its file is called by

State = Literal["waiting", "ready", "working", "protected", "skipped", "failed"]


@dataclass(frozen=True)
class Photo:
    """One photo. `name` is what the user sees; `file` is what it is called on disk, and the server made that.

    `here`: its original was uploaded to this server. `sha256` is that of the original, `strength` the one that its
    protected file was made with, `language` that of its suggested text; `record` is that of the file, as
    `protect photos` writes it. `wanted` is the text that was chosen among suggested ones.
    """

    id: int
    name: str
    file: str
    state: State = "waiting"
    reason: str = ""
    caption: str = ""
    sha256: str = ""
    strength: str = ""
    language: str = ""
    wanted: str = ""
    here: bool = False
    record: PhotoRecord | None = None
    version: int = 0

    def to_json(self) -> dict[str, Any]:
        """What the page shows of it."""
        done = self.record if self.record and self.record.status == "protected" else None
        values = {"id": self.id, "name": self.name, "state": self.state, "reason": self.reason, "here": self.here}
        values |= {"caption": self.caption, "done": done is not None}
        if done:
            values |= {"post": done.caption, "suggested": done.suggested, "strength": self.strength}
            values |= {"others": done.alternatives, "language": self.language, "wanted": self.wanted or done.caption}
            values |= {"epsilon": done.epsilon, "ssim": done.ssim, "lowered": done.lowered}
        return values


class Photos:
    """All photos by number; threads may use it. What earlier servers finished in OUT is there from the start."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.lock = threading.RLock()
        self.version = 0
        self._photos: dict[int, Photo] = {}
        self._removed: list[tuple[int, int]] = []  # version, id
        self._next = 1
        self._journal = Journal(out / HOME / "private" / NAMES, mode=0o600)
        known = {line["file"]: line for line in self._journal.read()}
        for record in read_records(out).values():
            if record.status == "protected" and (out / record.name).is_file():
                about = known.get(record.name, {"name": record.name})
                photo = self._new(about["name"], record.name)
                self._put(replace(
                    photo, state="protected", reason=record.reason, caption=record.caption_before, record=record,
                    **{name: about.get(name, "") for name in KEPT},
                ))  # fmt: skip

    def __len__(self) -> int:
        return len(self._photos)

    def get(self, id: int) -> Photo | None:
        return self._photos.get(id)

    def all(self) -> list[Photo]:
        """In the order of their names."""
        with self.lock:
            return sorted(self._photos.values(), key=lambda photo: (os.fsencode(photo.name), photo.id))

    def add(self, name: str) -> Photo:
        """A photo that is about to be uploaded."""
        with self.lock:
            return self._put(self._new(name, self._file_for(name)))

    def change(self, id: int, **values: Any) -> Photo | None:
        """Sets fields of a photo; None for one that was removed meanwhile."""
        with self.lock:
            photo = self._photos.get(id)
            return self._put(replace(photo, **values)) if photo else None

    def remove(self, id: int) -> None:
        """Takes a photo off the page; its protected file stays."""
        with self.lock:
            if self._photos.pop(id, None):
                self.version += 1
                self._removed.append((self.version, id))

    def uploaded(self, id: int, sha256: str) -> Photo | None:
        """Notes that the original is here; None where it is on the page already.

        One that an earlier server finished is taken up again under its old file, and is not protected twice.
        """
        with self.lock:
            photo = self._photos.get(id)
            if photo is None:
                return None
            same = (p for p in self._photos.values() if (p.name, p.sha256) == (photo.name, sha256) and p.id != id)
            twin = next(same, None)
            if twin is None:
                return self._put(replace(photo, sha256=sha256, here=True))
            self.remove(id if twin.here else twin.id)
            if twin.here:
                return None
            return self._put(replace(twin, id=id, here=True, state="waiting"))

    def keep(self, photo: Photo) -> None:
        """Notes under which name a finished file belongs, for servers to come."""
        about = {"file": photo.file, "name": photo.name}
        self._journal.append(about | {name: getattr(photo, name) for name in KEPT})

    def since(self, version: int) -> dict[str, Any]:
        """What has changed since a version that the page has seen (0: nothing yet)."""
        with self.lock:
            changed = [photo.to_json() for photo in self._photos.values() if photo.version > version]
            removed = [id for when, id in self._removed if when > version]
            return {"version": self.version, "photos": changed, "removed": removed}

    def _new(self, name: str, file: str) -> Photo:
        photo = Photo(self._next, name, file)
        self._next += 1
        return photo

    def _put(self, photo: Photo) -> Photo:
        self.version += 1
        photo = replace(photo, version=self.version)
        self._photos[photo.id] = photo
        return photo

    def _file_for(self, name: str) -> str:
        """A file name of digits, plain letters and a known ending; of the given name only what is harmless."""
        stem, ending = os.path.splitext(name.rpartition("/")[2])
        slug = re.sub(r"[^A-Za-z0-9]+", "-", stem).strip("-")[:SLUG]
        ending = ending.lower() if ending.lower() in PICTURE_NAMES else ""
        taken = {photo.file for photo in self._photos.values()}
        number = self._next
        while (file := f"{number:05}-{slug}{ending}") in taken or (self.out / file).exists():
            number += 1
        return file
