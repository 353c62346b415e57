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
from protect.files import HOME

CAPTIONS = "captions.csv"
HIDDEN = ("thumbs.db", "desktop.ini", "ehthumbs.db")
TAKEOUT = ".supplemental-metadata"  # what Google Takeout puts between a photo's name and .json


@dataclass(frozen=True)
class Entry:
    """One file (or a folder that is not entered), by its path below the source, with forward slashes.

    `kind` is photo, sidecar, skipped or failed; `reason` says why, of a sidecar whose it is. `sidecars` are
    the names of the text files that belong to a photo.
    """

    name: str
    path: Path
    kind: str
    reason: str = ""
    sidecars: tuple[str, ...] = ()


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
    looked = {item.name: _look(item, prefix) for item in items}
    photos = [name for name, (kind, _) in looked.items() if kind == "photo"]
    owners = _owners(photos, [name for name, (kind, _) in looked.items() if kind == "sidecar"])
    stems = {name.rpartition(".")[0]: name for name in photos}
    for item in items:
        name, (kind, reason) = item.name, looked[item.name]
        if kind == "sidecar" and name in owners:
            reason = f"text beside {owners[name]}"
        elif kind == "sidecar":
            kind, reason = "skipped", "not a picture"
        elif reason == REFUSED["MOVIE"] and name.rpartition(".")[0] in stems:
            reason = f"the movie of the live photo {stems[name.rpartition('.')[0]]}: not protected, do not publish it"
        texts = tuple(text for text, owner in owners.items() if owner == name) if kind == "photo" else ()
        yield Entry(prefix + name, Path(item.path), kind, reason, texts)


def _owners(photos: list[str], texts: list[str]) -> dict[str, str]:
    """The photo that each text file belongs to: NAME.jpg.txt or NAME.txt; of several the first."""
    whole = set(photos)
    stems: dict[str, str] = {}
    for name in photos:
        stems.setdefault(name.rpartition(".")[0] or name, name)
    owners = {}
    for text in texts:
        stem = text.rpartition(".")[0].removesuffix(TAKEOUT)
        owner = stem if stem in whole else stems.get(stem)
        if owner is not None:
            owners[text] = owner
    return owners


def _look(item: os.DirEntry, prefix: str) -> tuple[str, str]:
    """Kind and reason of one file, by its name and first bytes."""
    extension = os.path.splitext(item.name)[1].lower()
    if item.name.startswith(".") or item.name.lower() in HIDDEN:
        return "skipped", "hidden file"
    if not prefix and item.name.lower() == CAPTIONS:
        return "skipped", "the list of captions"
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
    return ("sidecar", "") if extension in SIDECAR_NAMES else ("skipped", "not a picture")
