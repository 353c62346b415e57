"""A folder of photos, walked: every file once, what is to be done with it, and the sidecars that belong to it."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from protect.data.file_types import (
    HEAD,
    MOVIE_NAMES,
    PICTURE_NAMES,
    PICTURES,
    RAW_NAMES,
    REFUSED,
    SIDECAR_NAMES,
    kind_of,
)
from protect.data.sidecar_names import Owners, owners_of, takeout_title
from protect.files import HOME

CAPTIONS = "captions.csv"
LISTS = (
    CAPTIONS,
    "captions.jsonl",
    "captions.json",
    "metadata.csv",
    "metadata.jsonl",
    "metadata.json",
    "exiftool.json",
)
HIDDEN = ("thumbs.db", "desktop.ini", "ehthumbs.db")
LONGEST = 1 << 20  # bytes of a text file that are read


@dataclass(frozen=True)
class Entry:
    """One file (or a folder that is not entered), by its path below the source, with forward slashes.

    `kind` is photo, sidecar, skipped or failed; `reason` says why, of a sidecar whose it is. `sidecars` are
    the names of the text files that speak of a photo, `borrowed` those of them that belong to another one.
    """

    name: str
    path: Path
    kind: str
    reason: str = ""
    sidecars: tuple[str, ...] = ()
    borrowed: tuple[str, ...] = ()


def walk(source: Path, avoid: Path | None = None) -> Iterator[Entry]:
    """Every file below `source`, folder by folder, in order of names; memory is that of one folder.

    Links to files are followed; links to folders only out of the tree, each folder once, and never to `avoid`.
    """
    root = source.resolve()
    seen = {_identity(root)}
    waiting = [(source, "")]
    while waiting:
        folder, prefix = waiting.pop()
        try:
            items = sorted(os.scandir(folder), key=lambda item: os.fsencode(item.name))
        except OSError as error:
            yield Entry(prefix.rstrip("/") or ".", folder, "failed", f"folder cannot be read: {error.strerror}")
            continue
        below = []
        files = []
        for item in items:
            name, path = prefix + item.name, Path(item.path)
            if not _is_folder(item):
                files.append(item)
                continue
            try:
                reason = _closed(item, path, root, seen, avoid)
                identity = _identity(path)
            except (OSError, RuntimeError) as error:  # gone since, or links in a circle
                yield Entry(name, path, "failed", f"folder cannot be read: {error}")
                continue
            if reason:
                yield Entry(name, path, "skipped", reason)
            else:
                seen.add(identity)
                below.append((path, name + "/"))
        yield from _files(files, prefix)
        waiting.extend(reversed(below))


def _is_folder(item: os.DirEntry) -> bool:
    try:
        return item.is_dir()
    except OSError:  # a link to itself
        return False


def _identity(path: Path) -> tuple[int, int]:
    about = path.stat()
    return about.st_dev, about.st_ino


def _closed(item: os.DirEntry, path: Path, root: Path, seen: set[tuple[int, int]], avoid: Path | None) -> str:
    """Why a folder is not entered, or ""."""
    if item.name.startswith(".") or item.name == HOME:
        return "hidden folder"
    target = path.resolve()
    if _identity(target) in seen:
        return "link to a folder that is looked through anyway"
    if not item.is_symlink():
        return ""
    if target == root or root in target.parents or target in root.parents:
        return "link to a folder that is looked through anyway"
    if avoid is not None and (avoid == target or avoid in target.parents or target in avoid.parents):
        return "link to the folder of protected photos"
    return ""


def _files(items: list[os.DirEntry], prefix: str) -> Iterator[Entry]:
    """The files of one folder."""
    looked = {item.name: _look(item) for item in items}
    paths = {item.name: item.path for item in items}
    photos = [name for name, (kind, _) in looked.items() if kind == "photo"]
    texts = [name for name, (kind, _) in looked.items() if kind == "sidecar" and _extension(name) in SIDECAR_NAMES]
    owners = owners_of(photos, texts, lambda name: takeout_title(_head(paths[name])))
    read: dict[str, list[str]] = {}
    for text, names in owners.items():
        for name in names:
            read.setdefault(name, []).append(text)
    stems = {name.rpartition(".")[0]: name for name in photos}
    for item in items:
        name, (kind, reason) = item.name, looked[item.name]
        if kind == "sidecar":
            kind, reason = _text(name, owners, prefix)
        elif reason == REFUSED["MOVIE"] and name.rpartition(".")[0] in stems:
            reason = f"the movie of the live photo {stems[name.rpartition('.')[0]]}: not protected, do not publish it"
        sidecars = tuple(read.get(name, ()))
        borrowed = tuple(text for text in sidecars if owners[text][0] != name)
        yield Entry(prefix + name, Path(item.path), kind, reason, sidecars, borrowed)


def _text(name: str, owners: Owners, prefix: str) -> tuple[str, str]:
    """Kind and reason of a file that may hold a caption."""
    if name in owners:
        return "sidecar", f"text beside {' and '.join(owners[name])}"
    if is_list(name):
        return "skipped", "the list of captions" if is_main_list(prefix + name) else "looked through for captions"
    return "skipped", "a text that goes with no photo here"


def is_list(name: str) -> bool:
    """Whether a file of this name may hold the captions of its folder."""
    return name.lower() in LISTS


def is_main_list(name: str) -> bool:
    """Whether it is the list that must be one: captions.csv in the folder of photos itself."""
    return name.lower() == CAPTIONS


def _head(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(LONGEST)
    except OSError:
        return b""


def _extension(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _look(item: os.DirEntry) -> tuple[str, str]:
    """Kind and reason of one file, by its name and first bytes."""
    extension = _extension(item.name)
    if item.name.startswith(".") or item.name.lower() in HIDDEN:
        return "skipped", "hidden file"
    try:
        about = item.stat()
        if not stat.S_ISREG(about.st_mode):
            return "skipped", "not a regular file"
        if extension in RAW_NAMES:
            return "skipped", REFUSED["RAW"]
        with open(item.path, "rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        if item.is_symlink() and not os.path.exists(item.path):
            return "skipped", "a link that leads nowhere"
        return "failed", f"cannot be read: {error.strerror}"
    kind = kind_of(head)
    if kind in PICTURES:
        return "photo", ""
    if kind or extension in MOVIE_NAMES:
        return "skipped", REFUSED[kind or "MOVIE"]
    if extension in PICTURE_NAMES:
        return "failed", f"expected a picture, found {'bytes ' + head[:8].hex() if head else 'an empty file'}"
    is_text = extension in SIDECAR_NAMES or is_list(item.name)
    return ("sidecar", "") if is_text else ("skipped", "not a picture")
