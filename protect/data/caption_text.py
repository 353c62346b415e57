"""A caption out of a text or JSON file: bytes of any encoding, JSON of any of the forms that tools write."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from protect.data.metadata.no_caption import is_no_caption
from protect.settings.publish import PublishSettings

KEYS = (*PublishSettings().caption_keys, "description", "Description", "alt_text", "headline")
EXIFTOOL = (  # names of its fields, behind the group: in the order they count
    "Description", "Caption-Abstract", "ImageDescription", "ExtDescrAccessibility", "AltTextAccessibility",
    "Headline", "Title", "ObjectName", "UserComment", "XPComment", "XPTitle", "XPSubject",
)  # fmt: skip
SOURCE = "SourceFile"  # by which a JSON of exiftool is known


def one_line(text: str) -> str:
    """A caption as it is written: without line breaks, and without halves of characters."""
    text = text.encode("utf-8", "ignore").decode()
    return " ".join(text.replace("\ufeff", " ").replace("\0", " ").split())


def decoded(data: bytes) -> str:
    """UTF-8, UTF-16 with its mark or known by its zeros, else what Windows writes."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="ignore")
    head = data[:1000]
    if len(head) > 1 and max(head[::2].count(0), head[1::2].count(0)) > len(head) // 4:
        return data.decode("utf-16-be" if head[::2].count(0) > head[1::2].count(0) else "utf-16-le", errors="ignore")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def objects_of(found: Iterable[object]) -> Iterator[Mapping[str, Any]]:
    return (thing for thing in found if isinstance(thing, Mapping))


def caption_of(fields: Mapping[str, Any]) -> str:
    """The caption of a JSON object, "" for none."""
    return next(iter(_captions(fields).values()), "")


def json_caption(data: bytes, photo: str) -> str:
    """The caption of a photo in the JSON file beside it, "" for none."""
    _, captions = _read(data, photo)
    return next(iter(captions.values()), "")


def new_json(data: bytes, photo: str, caption: str) -> bytes:
    """The file with the new caption wherever it held one, in the same form, and nothing else of it."""
    found, captions = _read(data, photo)
    if isinstance(found, list) and "" in captions:
        new: Any = [caption]
    else:
        fields = found if isinstance(found, dict) else _of_photo(found, photo)
        new = {key: [caption] if isinstance(fields[key], list) else caption for key in captions}
        if SOURCE in fields:
            new = {SOURCE: photo, **new}
        new = [new] if isinstance(found, list) else new
    return json.dumps(new, indent=2, ensure_ascii=False).encode()


def _read(data: bytes, photo: str) -> tuple[Any, dict[str, str]]:
    """The parsed file, and its captions by key; a mere list of captions has the key "".

    The title Google Takeout gives is the file's name, no caption.
    """
    try:
        found = json.loads(decoded(data))
    except (ValueError, RecursionError):
        return None, {}
    if isinstance(found, dict):
        return found, _captions(found)
    if not isinstance(found, list):
        return found, {}
    text = _first(found)
    return found, {"": text} if text else _captions(_of_photo(found, photo))


def _of_photo(found: Any, photo: str) -> Mapping[str, Any]:
    """Of a list of objects the one that is about the photo."""
    objects = list(objects_of(found if isinstance(found, list) else ()))
    named = (thing for thing in objects if str(thing.get(SOURCE, "")).replace("\\", "/").rpartition("/")[2] == photo)
    return next(named, objects[0] if len(objects) == 1 else {})


def _captions(fields: Mapping[str, Any]) -> dict[str, str]:
    """Captions by key, in the order they count; of several under one key the first."""
    keys: Iterable[str] = KEYS
    if SOURCE in fields:
        keys = [key for name in EXIFTOOL for key in fields if str(key).rpartition(":")[2] == name]
    texts = {key: _first([fields[key]]) for key in keys if key in fields}
    return {key: text for key, text in texts.items() if text and not (SOURCE in fields and is_no_caption(text))}


def _first(values: Iterable[object]) -> str:
    """The first text in a list, or in a list in it."""
    for value in values:
        if isinstance(value, str) and one_line(value):
            return one_line(value)
        if isinstance(value, list) and (text := _first(v for v in value if isinstance(v, str))):
            return text
    return ""
