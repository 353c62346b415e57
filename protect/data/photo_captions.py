"""The caption of a photo: where it is looked for, and how the published one goes back to every place it stood.

A caption is one line: line breaks become spaces, so that the same text stands everywhere.
"""

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from protect.data.metadata.metadata import Metadata, kept_fields
from protect.data.metadata.xmp import CAPTIONS as XMP_CAPTIONS
from protect.data.metadata.xmp import read_xmp, write_xmp
from protect.data.photo_folder import CAPTIONS, Entry
from protect.settings.publish import PhotoSettings, PublishSettings

FILE_COLUMNS = ("file", "filename", "file_name", "name", "path", "image", "photo", "sourcefile")
CAPTION_COLUMNS = ("caption", "description", "text", "alt", "alt_text", "title", "imagedescription")
JSON_KEYS = (*PublishSettings().caption_keys, "description", "Description", "alt_text", "headline")
LONGEST = 1 << 20  # bytes of a sidecar that are read
NO_ALBUM = re.compile(
    r"[\W\d_]*|\w|(dcim|photos?|pictures?|images?|camera|camera roll|img|new folder|export(ed)?|unsorted|misc"
    r"|te?mp|\d{3}[a-z_]{5}|\d{3}[_ ]?[a-z]{3,5}|(untitled|new) (album|folder)( \(?\d+\)?)?|downloads?|desktop"
    r"|albums?|whatsapp images?)",
    re.IGNORECASE,
)
DATE = re.compile(r"^[\d\s._/-]{4,}\b[\s_-]*")


class CaptionsError(ValueError):
    """A list of captions that cannot be read."""


@dataclass(frozen=True)
class Caption:
    """The text found, and where: a name of `caption_from`, "" for none."""

    text: str = ""
    source: str = ""

    @property
    def suggested(self) -> bool:
        """Whether the photo itself had no caption: what is posted is a suggestion."""
        return self.source in ("", "folder")


def find_caption(
    entry: Entry, embedded: Metadata, listed: Mapping[str, str], order: Sequence[str], texts: Mapping[str, str]
) -> Caption:
    """The first caption in the order of `caption_from`; `texts` are those of the sidecars by name."""
    inside = embedded.captions
    for source in order:
        if source == "csv":
            found = listed.get(entry.name, "")
        elif source == "sidecar":
            found = next((text for text in texts.values() if text), "")
        elif source == "folder":
            found = album_of(entry.name)
        else:
            found = next((text for place, text in inside.items() if place.startswith(source + ":")), "")
        if found:
            return Caption(found, source)
    return Caption()


def album_of(name: str) -> str:
    """The folder a photo lies in as a text, without a date in front; "" for a folder whose name says nothing."""
    folder = name.rpartition("/")[0].rpartition("/")[2]
    text = one_line(DATE.sub("", folder).replace("_", " "))
    return "" if NO_ALBUM.fullmatch(text) else text


def one_line(text: str) -> str:
    """A caption as it is written: without line breaks, and without halves of characters."""
    text = text.encode("utf-8", "ignore").decode()
    return " ".join(text.replace("\ufeff", " ").replace("\0", " ").split())


def sidecar_texts(entry: Entry) -> dict[str, str]:
    """The caption in each of a photo's sidecars, "" for one that holds none; plain text before JSON before XMP."""
    order = (".txt", ".json", ".xmp")
    names = sorted(entry.sidecars, key=lambda name: (order.index(Path(name).suffix.lower()), name))
    return {name: _sidecar_text(entry.path.with_name(name)) for name in names}


def _sidecar_text(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(LONGEST)
    match path.suffix.lower():
        case ".txt":
            return one_line(_decoded(data))
        case ".xmp":
            found = read_xmp(data)
            return next((one_line(found[name][0]) for name in XMP_CAPTIONS if name in found), "")
    return next(iter(_json_captions(data).values()), "")


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _json_captions(data: bytes) -> dict[str, str]:
    """Caption fields of a JSON object, by name; the title Google Takeout gives is the file's name, no caption."""
    try:
        fields = json.loads(_decoded(data))
    except (ValueError, RecursionError):
        return {}
    if not isinstance(fields, dict):
        return {}
    texts = {key: fields[key] for key in JSON_KEYS if isinstance(fields.get(key), str)}
    return {key: one_line(text) for key, text in texts.items() if one_line(text)}


def new_sidecars(entry: Entry, texts: Mapping[str, str], caption: str, settings: PhotoSettings) -> dict[str, bytes]:
    """The bytes of those sidecars that held a caption, by name: the new one in its place, and nothing else."""
    files = {}
    for name, text in texts.items():
        source = entry.path.with_name(name)
        kind = source.suffix.lower() if text else ""
        if kind == ".txt":
            files[name] = caption.encode() + b"\n"
        elif kind == ".xmp":
            held = read_xmp(source.read_bytes())
            places = [field for field in XMP_CAPTIONS if field in held]
            files[name] = write_xmp(places, caption, kept_fields(held, settings.keep_gps), settings.opt_out)
        elif kind == ".json":
            fields = dict.fromkeys(_json_captions(source.read_bytes()), caption)
            files[name] = json.dumps(fields, indent=2, ensure_ascii=False).encode()
    return files


def read_list(source: Path) -> dict[str, str]:
    """The captions of `captions.csv` by name of file; {} without one.

    Columns are found by their names (file, caption and the like); a list without a header has the file first.
    Raises CaptionsError when there are no two columns.
    """
    path = next((path for path in source.iterdir() if path.name.lower() == CAPTIONS), None)
    if path is None:
        return {}
    text = _decoded(path.read_bytes())
    separator = max(",;\t", key=(text.splitlines() or [""])[0].count)
    try:
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=separator) if any(row)]
    except csv.Error as error:
        raise CaptionsError(f"{path}: expected comma-separated values, found {error}; save it again") from error
    if not rows:
        return {}
    header = [cell.strip().lower() for cell in rows[0]]
    file = next((header.index(name) for name in FILE_COLUMNS if name in header), None)
    caption = next((header.index(name) for name in CAPTION_COLUMNS if name in header), None)
    if file is None or caption is None:
        if len(header) < 2:
            raise CaptionsError(f"{path}: expected the columns file and caption, found {rows[0]}; add them")
        file, caption, rows = 0, 1, [[], *rows]
    wide = [row for row in rows[1:] if len(row) > max(file, caption)]
    return {_name(row[file]): one_line(row[caption]) for row in wide}


def _name(cell: str) -> str:
    return cell.strip().replace("\\", "/").removeprefix("./")
