"""The work behind the page: the job of `protect photos` over what was uploaded, in a thread, one run at a time."""

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from protect.data.photo_folder import Entry
from protect.files import HOME
from protect.jobs.photos.job import COUNTED, PhotoJob, evenly, finish, reason_of, resume, word_counts
from protect.jobs.photos.key import key_protector, own_key, own_words
from protect.jobs.photos.records import PhotoRecord, read_records
from protect.jobs.photos.run import Todo, protect_each
from protect.jobs.web.photos import Photo, Photos
from protect.jobs.web.uploads import Uploads
from protect.methods.parts.keywords import Vocabulary
from protect.methods.protector import Protector
from protect.settings.publish import PhotoSettings
from protect.settings.recipe import TriggerSettings


@dataclass(frozen=True)
class WebJob(PhotoJob):
    """The job over uploads: whether a photo is done is told by its bytes, as its file is new in every session."""

    contents: dict[str, str] = field(default_factory=dict)  # SHA-256 of the originals by name of file

    def stamp(self, entry: Entry) -> str:
        own = [table.get(entry.name) for table in (self.contents, self.listed, self.wanted)]
        text = json.dumps([*own, self.identity])
        return hashlib.sha256(text.encode()).hexdigest()[:32]


class Choice(NamedTuple):
    """What the page's user has set for all photos."""

    strength: str
    language: str


def usual(settings: PhotoSettings) -> Choice:
    """What is set when the page opens."""
    return Choice(settings.strength, settings.language or TriggerSettings().language)


@dataclass
class Progress:
    """How far the run is; `seconds_left` is a guess from its pace so far."""

    running: bool = False
    total: int = 0
    done: int = 0
    began: float = 0.0
    trouble: str = ""

    def to_json(self) -> dict[str, Any]:
        passed = time.monotonic() - self.began
        left = passed / self.done * (self.total - self.done) if self.running and self.done else None
        about = {"running": self.running, "total": self.total, "done": self.done, "trouble": self.trouble}
        return about | {"seconds_left": left}


class Work:
    """Protects the photos of an index into OUT.

    `private` is the folder of the key. A caption is what the page shows, so the job takes it from nowhere else.
    """

    def __init__(
        self, out: Path, private: Path, settings: PhotoSettings, photos: Photos, uploads: Uploads, jobs: int | None
    ) -> None:
        self.out, self.private, self.photos, self.uploads = out, private, photos, uploads
        self.settings = replace(settings, caption_from=("csv",))
        self.jobs = jobs
        self.progress = Progress()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._protectors: tuple[Vocabulary, Protector] | None = None
        self._key = own_key(private) if settings.seed is None else settings.seed
        resume(self.job(usual(settings), dry=True))

    def protector(self, dry: bool) -> Protector:
        """The protector of the user's key and words; a `dry` one leaves the words to be counted by the first run."""
        with self._lock:
            words = own_words(self.private, self._count, dry)
            if self._protectors is None or self._protectors[0] != words:
                self._protectors = words, key_protector(self._key, self.settings.trigger_words, words)
            return self._protectors[1]

    def _count(self) -> Vocabulary:
        """As `protect photos` counts them, over the captions on the page."""
        uploaded = [photo for photo in self.photos.all() if photo.here]
        return word_counts(photo.caption for photo in evenly(uploaded, COUNTED))

    def job(self, choice: Choice, dry: bool = False) -> WebJob:
        """What a run over the photos as they now are would do."""
        here = [photo for photo in self.photos.all() if photo.here]
        captions = {photo.file: photo.caption for photo in here}
        contents = {photo.file: photo.sha256 for photo in here}
        wanted = {photo.file: photo.wanted for photo in here}
        settings = replace(self.settings, strength=choice.strength, language=choice.language)
        return WebJob(self.uploads.folder, self.out, settings, self.protector(dry), captions, wanted, contents)

    def start(self, choice: Choice) -> bool:
        """Begins a run; False where one is running already."""
        with self._lock:
            if self.progress.running:
                return False
            self.progress = Progress(running=True, began=time.monotonic())
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, args=(choice,), name="protect")
        self._thread.start()
        return True

    def stop(self) -> None:
        """Ends the run after the photos it is at."""
        self._stop.set()

    def close(self) -> None:
        self.stop()
        if self._thread is not None:
            self._thread.join()

    def _run(self, choice: Choice) -> None:
        try:
            job = self.job(choice)
            waiting = [photo for photo in self.photos.all() if photo.here and photo.state in ("ready", "protected")]
            self.progress.total = len(waiting)
            records = read_records(self.out)
            numbers = {photo.file: photo for photo in waiting}

            def done(todo: Todo, record: PhotoRecord) -> None:
                records[todo.entry.name] = record
                self.progress.done += 1
                self._finished(numbers[todo.entry.name], record, choice)

            try:
                protect_each(job, self._begun(waiting, records), done, self.jobs)
            finally:
                finish(job, records)
        except Exception as error:  # the page says what stopped the run; the server goes on
            self.progress.trouble = reason_of(error)
        finally:
            for photo in self.photos.all():
                if photo.state == "working":
                    self.photos.change(photo.id, state="ready")
            self.progress.running = False

    def _begun(self, waiting: list[Photo], records: dict[str, PhotoRecord]) -> Iterator[Todo]:
        """One photo after another, until the user stops."""
        for photo in waiting:
            if self._stop.is_set():
                return
            if self.photos.change(photo.id, state="working", reason=""):
                path = self.uploads.path(photo)
                yield Todo(Entry(photo.file, path, "photo"), records.get(photo.file))

    def _finished(self, photo: Photo, record: PhotoRecord, choice: Choice) -> None:
        made = record if record.status == "protected" else None
        now = self.photos.get(photo.id)
        edited = now is not None and (now.caption, now.wanted) != (photo.caption, photo.wanted)
        about: dict[str, Any] = {"reason": record.reason, "record": made, "strength": "", "language": ""}
        if made:
            about |= {"strength": choice.strength, "language": choice.language}
        done = self.photos.change(photo.id, state="ready" if edited else record.status, **about)
        if done and made:
            self.photos.keep(done)


def private_folder(out: Path, key_folder: Path | None) -> Path:
    """Where the key is kept, for its owner alone."""
    folder = key_folder or out / HOME / "private"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder
