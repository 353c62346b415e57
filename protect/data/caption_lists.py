"""Lists of captions in a folder of photos: captions.csv, and the metadata.csv or .jsonl of training sets."""

import csv
import io
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from protect.data.caption_text import caption_of, decoded, objects_of, one_line
from protect.data.photo_folder import is_list, is_main_list
from protect.files import HOME

FILE_COLUMNS = ("file", "filename", "file_name", "name", "path", "image", "photo", "sourcefile", "image_path")
CAPTION_COLUMNS = ("caption", "description", "text", "alt", "alt_text", "title", "imagedescription", "captions")
LARGEST = 1 << 28  # bytes of a list


class CaptionsError(ValueError):
    """A list of captions that cannot be read."""


def read_list(source: Path) -> dict[str, str]:
    """The captions of all lists below a folder by name of file; {} without one.

    Of several the list nearest to the folder itself counts, and there captions.csv. Columns are found by their names
    (file, caption and the like). Raises CaptionsError where captions.csv in the folder itself has no such columns;
    any other file that looks like a list and is none is passed over.
    """
    found: dict[str, str] = {}
    for name in _lists(source):
        prefix = name[: name.rfind("/") + 1]
        try:
            rows = dict(_rows(source / name))
        except (CaptionsError, OSError):
            if is_main_list(name):
                raise
            continue
        found |= {prefix + file: text for file, text in rows.items() if text and prefix + file not in found}
    return found


def _lists(source: Path) -> Iterator[str]:
    """Names of the lists, from the folder down, captions.csv before the others."""
    for folder, below, files in os.walk(source):
        below[:] = sorted(name for name in below if not name.startswith(".") and name != HOME)
        prefix = os.path.relpath(folder, source).replace(os.sep, "/") + "/"
        for name in sorted(filter(is_list, files), key=lambda name: (not is_main_list(name), name)):
            yield prefix.removeprefix("./") + name


def _rows(path: Path) -> Iterator[tuple[str, str]]:
    """Name of a file, relative to that of the list, and its caption."""
    if path.stat().st_size > LARGEST:
        raise CaptionsError(f"{path}: expected a list of at most {LARGEST >> 20} MB; split it")
    text = decoded(path.read_bytes())
    match path.suffix.lower():
        case ".csv":
            yield from _from_csv(path, text)
        case ".jsonl":
            yield from _from_objects([thing for line in text.splitlines() for thing in _parsed(line)])
        case _:
            yield from _from_objects(_parsed(text))


def _parsed(text: str) -> list[object]:
    """A JSON list as it is, anything else as a list of one."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return []
    return found if isinstance(found, list) else [found]


def _from_objects(found: list[object]) -> Iterator[tuple[str, str]]:
    """Objects with a file and a caption each, or one object of captions by file."""
    for thing in objects_of(found):
        lowered = {str(key).lower(): value for key, value in thing.items()}
        file = next((lowered[key] for key in FILE_COLUMNS if isinstance(lowered.get(key), str)), None)
        if isinstance(file, str):
            yield _name(file), caption_of(thing)
            continue
        for name, value in thing.items():
            text = caption_of(value) if isinstance(value, Mapping) else value
            if isinstance(text, str):
                yield _name(str(name)), one_line(text)


def _from_csv(path: Path, text: str) -> Iterator[tuple[str, str]]:
    """A list without a header has the file first, and counts only as captions.csv."""
    separator = max(",;\t", key=(text.splitlines() or [""])[0].count)
    try:
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=separator) if any(row)]
    except csv.Error as error:
        raise CaptionsError(f"{path}: expected comma-separated values, found {error}; save it again") from error
    if not rows:
        return
    header = [cell.strip().lower() for cell in rows[0]]
    file = next((header.index(name) for name in FILE_COLUMNS if name in header), None)
    caption = next((header.index(name) for name in CAPTION_COLUMNS if name in header), None)
    if file is None or caption is None:
        if len(header) < 2 or not is_main_list(path.name):
            raise CaptionsError(f"{path}: expected the columns file and caption, found {rows[0]}; add them")
        file, caption, rows = 0, 1, [[], *rows]
    for row in rows[1:]:
        if len(row) > max(file, caption):
            yield _name(row[file]), one_line(row[caption])


def _name(cell: str) -> str:
    return cell.strip().replace("\\", "/").removeprefix("./")
