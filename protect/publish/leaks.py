"""What in published files still leads to the clean originals: shards, their parquets, folders.

Everything is opened again as a stranger would, by code that the writing side does not use.
"""

from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from protect.data.file_types import PICTURE_NAMES
from protect.publish.leak_blocks import block_findings
from protect.publish.leak_pictures import CleanPictures, Suspect, small, small_array
from protect.publish.leak_texts import CleanTexts, Finding, link_in
from protect.publish.leak_walk import Broken, Leaf, Picture, in_bytes, in_value, key_of, tar_members

CAPTION_FILES = ("txt", "caption", "captions", "text")
LONG_NAME = 16  # letters of a file's name from which on it may be a caption
MAIN = ("jpg", "jpeg", "png", "webp")


@dataclass(frozen=True)
class Leak:
    """One finding; `key` is empty when it is about the file as a whole.

    `kind` is unprotected (the sample's own picture), clean picture (a further one), caption, link, place, hash,
    thumbnail, xmp, extra picture or unreadable.
    """

    shard: str
    key: str
    kind: str
    detail: str


@dataclass
class Originals:
    """What is known of the clean samples, by key; `caption_keys`: fields whose text may hold addresses."""

    caption_keys: Collection[str] = ()
    kept: Collection[str] = ()  # plain keys of samples that are published as they were, as the run has said
    texts: CleanTexts = field(default_factory=CleanTexts)
    pictures: CleanPictures = field(default_factory=CleanPictures)

    def add(self, key: str, captions: Collection[str], published: Collection[str] = (), picture: bytes = b"") -> None:
        """One sample. published: its captions as they go out, where they are known; picture: the clean file."""
        key = plain_key(key)
        self.texts.add(key, captions, published, [picture] if picture else [])
        if picture and (pixels := small(picture)) is not None:
            self.pictures.add(key, pixels)


def plain_key(key: Any) -> str:
    """A key in the one form that tars and tables share."""
    text = key.decode(errors="replace") if isinstance(key, bytes) else str(key)
    text = text.removesuffix(".0") if isinstance(key, float) else text
    while text.startswith("./"):
        text = text[2:]
    return text.lstrip("0") or "0" if text.isdigit() else text


class Scan:
    """A scan of one shard or folder: findings as its parts are shown, those about pictures at the end."""

    def __init__(self, shard: str, originals: Originals) -> None:
        self.shard, self.originals = shard, originals
        self._suspects: list[Suspect] = []
        self._mains: set[str] = set()
        self._told: set[Leak] = set()
        self._links_of = {key.lower() for key in originals.caption_keys}

    def member(self, key: str, name: str, data: bytes, is_main: bool | None = None) -> Iterator[Leak]:
        """One file of a sample; is_main: whether it is the picture that was protected, if the caller knows."""
        extension = name.rpartition("/")[2].partition(".")[2].lower()
        own = _own(key, name)
        plain = plain_key(key)
        if is_main is None:
            is_main = extension in MAIN and plain not in self._mains
        if is_main:
            self._mains.add(plain)
        names = () if extension == "json" else (extension,)
        for called in (part.partition(".")[0] for part in name.split("/")):
            for kind, detail in self.originals.texts.in_text(plain, called) if len(called) >= LONG_NAME else ():
                yield from self._tell(key, kind, f"the name {name}: {detail}")
        for leaf in in_bytes("", names, data):
            findings = self._picture(plain, name, leaf, is_main)
            if not isinstance(leaf.value, Picture):
                findings = self._findings(plain, leaf, own, extension in CAPTION_FILES)
            for kind, detail in findings:
                where = f" in {leaf.place}" if leaf.place and detail != f"field {leaf.place}" else ""
                yield from self._tell(key, kind, f"{name}: {detail}{where}")
        if (
            extension in MAIN
            and plain not in self.originals.kept
            and not data.startswith((b"\xff\xd8", b"\x89PNG", b"RIFF"))
        ):
            yield from self._tell(key, "unreadable", f"{name}: no picture of its kind")

    def row(self, key: Any, values: dict[str, Any]) -> Iterator[Leak]:
        """One row of a table."""
        plain = plain_key(key)
        for leaf in in_value("", (), values):
            column = leaf.names[0] if leaf.names else "name"
            findings = self._picture(plain, f"column {column}", leaf, False)
            if not isinstance(leaf.value, Picture):
                findings = self._findings(plain, leaf, _own(str(key), ""), False)
            for kind, detail in findings:
                if kind in ("link", "place"):
                    yield from self._tell("", kind, f"column {leaf.place or column}")
                else:
                    yield from self._tell(str(key), kind, f"{detail} in column {leaf.place or column}")

    def finish(self) -> Iterator[Leak]:
        """What the pictures show, now that all of them were seen."""
        for suspect, reason in self.originals.pictures.judge(self._suspects):
            kind = "unprotected" if suspect.is_main else "clean picture"
            yield from self._tell(suspect.key, kind, f"{suspect.place}: {reason}")

    def _findings(self, key: str, leaf: Leaf, own: Collection[str], is_caption: bool) -> Iterator[Finding]:
        texts, value = self.originals.texts, leaf.value
        if isinstance(value, np.ndarray):
            if (pixels := small_array(value)) is not None:
                self._suspects.append(Suspect(leaf.place or "an array", key, pixels, is_array=True))
            return
        if isinstance(value, bytes):
            yield from texts.in_bytes(key, value)
            yield from texts.in_digest_bytes(value)
            return
        if isinstance(value, str) and key not in self.originals.kept:
            yield from texts.in_text(key, value)
        if isinstance(value, str):
            yield from texts.in_digests(value)
        is_caption = is_caption or bool(leaf.names and leaf.names[0].lower() in self._links_of)
        if not is_caption and not _holds_more(value) and (why := link_in(leaf.names, value, own)):
            yield ("place" if why.startswith("position") else "link"), why

    def _picture(self, key: str, name: str, leaf: Leaf, is_main: bool) -> Iterator[Finding]:
        data = leaf.value.data if isinstance(leaf.value, Picture) else b""
        if not data:
            return
        if (picture := small(data)) is not None:
            is_main = is_main and not leaf.place
            place = f"{name}: {leaf.place}" if leaf.place else name
            near = not is_main or self.originals.pictures.is_near(key, picture)
            self._suspects.append(Suspect(place, key, picture.grey, is_main, data=data if near else b""))
        if data.startswith((b"\xff\xd8", b"\x89PNG", b"RIFF")) and not leaf.place:
            try:
                yield from block_findings(data, lambda text: self.originals.texts.in_text(key, text))
            except (ValueError, IndexError) as error:
                if key not in self.originals.kept:
                    yield "unreadable", str(error)

    def _tell(self, key: str, kind: str, detail: str) -> Iterator[Leak]:
        leak = Leak(self.shard, key, kind, detail)
        if leak not in self._told:
            self._told.add(leak)
            yield leak


def scan_shard(
    path: Path, originals: Originals, keys: Collection[str] | None = None, known: Collection[str] = ()
) -> Iterator[Leak]:
    """Leaks of a tar; keys: the samples to look at, beside all files of none of the `known` ones; else all of it.

    Damage is a leak: nobody can tell what is there.
    """
    scan = Scan(path.name, originals)
    wanted, others = {plain_key(key) for key in keys or ()}, {plain_key(key) for key in known}

    def is_wanted(name: str) -> bool:
        key = plain_key(key_of(name))
        return keys is None or key in wanted or bool(others and key not in others)

    originals.pictures.read_published = lambda keys: pictures_of(path, keys)
    try:
        for name, data in tar_members(path, is_wanted):
            yield from scan.member(key_of(name), name, data)
    except Broken as error:
        yield Leak(path.name, "", "unreadable", str(error))
    yield from scan.finish()


def pictures_of(shard: Path, keys: Collection[str]) -> dict[str, bytes]:
    """The picture files of some samples of a tar, by their plain keys."""
    files: dict[str, bytes] = {}
    with suppress(Broken):
        for name, data in tar_members(shard, lambda name: plain_key(key_of(name)) in keys):
            if name.rpartition("/")[2].partition(".")[2].lower() in MAIN:
                files.setdefault(plain_key(key_of(name)), data)
    return files


def scan_folder(
    folder: Path, originals: Originals, hidden: Collection[str] = (), pictures_only: bool = False
) -> Iterator[Leak]:
    """Leaks of the files below a folder, but for folders named `hidden`; a photo's key is its path without ending.

    pictures_only: files that are named like pictures, none of which is known to be a protected one.
    """
    scan = Scan(folder.name, originals)
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder)
        if not path.is_file() or any(part in hidden for part in inner.parts):
            continue
        is_picture = inner.suffix.lower() in PICTURE_NAMES
        if pictures_only and not is_picture:
            continue
        key = inner.with_suffix("").as_posix()
        if plain_key(key) not in originals.pictures.smalls and "." in inner.stem:
            key = key.rpartition(".")[0]  # a sidecar: photo.jpg.txt
        is_main = is_picture and not pictures_only and plain_key(key) in originals.pictures.smalls
        yield from scan.member(key, inner.as_posix(), path.read_bytes(), is_main)
    yield from scan.finish()


def scan_parquet(path: Path, originals: Originals, keys: Collection[str] | None = None) -> Iterator[Leak]:
    """Leaks of a shard's parquet: every value of every row at any depth. keys: whose rows to look at, else all."""
    scan = Scan(path.name, originals)
    wanted = None if keys is None else {plain_key(key) for key in keys}
    try:
        with pq.ParquetFile(path) as file:
            if "key" not in file.schema_arrow.names:
                yield Leak(path.name, "", "unreadable", "no column key: its captions cannot be checked")
            about = {key.decode(errors="replace"): value for key, value in (file.metadata.metadata or {}).items()}
            about.pop("ARROW:schema", None)
            for leak in scan.row("", about):
                yield Leak(path.name, "", leak.kind, f"{leak.detail} of the file's own metadata")
            for batch in file.iter_batches(batch_size=256):
                some = range(batch.num_rows) if wanted is None else _rows_of(batch, wanted)
                for row in (batch.slice(n, 1).to_pylist()[0] for n in some):
                    yield from scan.row(row.pop("key", ""), row)
    except pa.ArrowException as error:
        yield Leak(path.name, "", "unreadable", str(error))
    except OSError as error:
        if error.errno is not None:  # without a number it is Arrow's word for damage
            raise
        yield Leak(path.name, "", "unreadable", str(error))
    yield from scan.finish()


def _rows_of(batch: Any, wanted: Collection[str]) -> list[int]:
    keys = batch.column("key").to_pylist() if "key" in batch.schema.names else []
    return [number for number, key in enumerate(keys) if plain_key(key) in wanted]


def _own(key: str, name: str) -> frozenset[str]:
    """What a sample is called anyway, by its key and its members' names."""
    short = key.rpartition("/")[2]
    numbers = {str(int(short))} if short.isascii() and short.isdigit() and len(short) < 40 else set()
    return frozenset({key, short, name, name.rpartition("/")[2], *numbers, *(f"{short}.{e}" for e in MAIN)})


def _holds_more(value: Any) -> bool:
    """Whether a text is JSON: its own fields are looked at."""
    return isinstance(value, str) and value.lstrip()[:1] in ("{", "[")
