"""The caption of a photo: where it is looked for, and how the published one goes back to every place it stood.

A caption is one line: line breaks become spaces, so that the same text stands everywhere.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from protect.data.caption_text import decoded, json_caption, new_json, one_line
from protect.data.metadata.metadata import Metadata, kept_fields
from protect.data.metadata.xmp import CAPTIONS as XMP_CAPTIONS
from protect.data.metadata.xmp import read_xmp, write_xmp
from protect.data.photo_folder import LONGEST, Entry
from protect.settings.publish import PhotoSettings

PLAIN = (".txt", ".caption", ".text")
ORDER = (*PLAIN, ".json", ".xmp")  # of sidecars, as they count
NO_ALBUM = re.compile(
    r"[\W\d_]*|\w|(dcim|photos?|pictures?|images?|camera|camera roll|img|new folder|export(ed)?|unsorted|misc"
    r"|te?mp|\d{3}[a-z_]{5}|\d{3}[_ ]?[a-z]{3,5}|(untitled|new) (album|folder)( \(?\d+\)?)?|downloads?|desktop"
    r"|albums?|whatsapp images?|takeout|google (photos|fotos|foto|fotografie)|archiv\w{0,2}|trash|papierkorb"
    r"|(photos?|fotos?|foto's|bilder|foton|billeder|zdj\u0119cia|fotky)"  # Takeout's own
    r" (from|von|vom|aus|de|del|di|da|dal|uit|van|fr\u00e5n|fra|z|ze) \d{4}"
    r"|\d{4} ?\u5e74(\u306e\u5199\u771f|\u7684\u7167\u7247)|\u5e74?(\u306e\u5199\u771f|\u7684\u7167\u7247))",
    re.IGNORECASE,
)
DATE = re.compile(r"^[\d\s._/-]{4,}\b[\s_-]*")


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


def sidecar_texts(entry: Entry) -> dict[str, str]:
    """The caption in each of a photo's sidecars, "" for one that holds none; plain text before JSON before XMP."""
    names = sorted(entry.sidecars, key=lambda name: (ORDER.index(Path(name).suffix.lower()), name))
    return {name: _sidecar_text(entry.path.with_name(name), entry.path.name) for name in names}


def _sidecar_text(path: Path, photo: str) -> str:
    data = _read(path)
    match path.suffix.lower():
        case ".json":
            return json_caption(data, photo)
        case ".xmp":
            properties = read_xmp(data)
            return next((one_line(properties[name][0]) for name in XMP_CAPTIONS if name in properties), "")
    return one_line(decoded(data))


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(LONGEST)


def new_sidecars(entry: Entry, texts: Mapping[str, str], caption: str, settings: PhotoSettings) -> dict[str, bytes]:
    """The bytes of those sidecars that held a caption, by name: the new one in its place, and nothing else.

    A borrowed one is left to the photo it belongs to.
    """
    files = {}
    for name, text in texts.items():
        source = entry.path.with_name(name)
        kind = source.suffix.lower() if text and name not in entry.borrowed else ""
        if kind in PLAIN:
            files[name] = caption.encode() + b"\n"
        elif kind == ".xmp":
            held = read_xmp(_read(source))
            places = [field for field in XMP_CAPTIONS if field in held]
            files[name] = write_xmp(places, caption, kept_fields(held, settings.keep_gps), settings.opt_out)
        elif kind == ".json":
            files[name] = new_json(_read(source), entry.path.name, caption)
    return files
