"""Where a sample's captions and links to its original stand, and how they are changed in place.

A caption is one line, without the whitespace around it: of the `.txt`, of a JSON field, of a parquet column.
"""

import json
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from protect.data.shard_writer import replace_members
from protect.data.shards import split_name
from protect.settings.publish import PublishSettings
from protect.types import Member, Sample

LINK_NAMES = ("url", "urls", "md5", "sha1", "sha256", "sha512", "phash")
LINK_ENDINGS = ("_url", "_sha256")
BOM = "\ufeff"
LINE = re.compile(rf"[^\s{BOM}](?:[^\r\n]*[^\s{BOM}])?")
TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+')
LONE_SURROGATE = re.compile("[\ud800-\udfff]")

Change = Callable[[str], str]
JsonPath = tuple[str | None, ...]  # names of the fields around a value; None for a list


class CaptionError(ValueError):
    """Captions, or the file they stand in, that cannot be read."""


def fold(text: str) -> str:
    """What two captions have in common that differ in whitespace and case only."""
    return " ".join(text.split()).casefold()


def is_link(name: str) -> bool:
    """Whether a field of this name leads back to the clean original (an address or a hash of it)."""
    return name.lower() in LINK_NAMES or name.lower().endswith(LINK_ENDINGS)


def captions_of(sample: Sample, keys: Sequence[str]) -> tuple[str, ...]:
    """All distinct captions: the lines of the `.txt`, then the top-level JSON fields `keys` (any case).

    Raises CaptionError when one of these members is not UTF-8 or not JSON.
    """
    texts = [_text(sample, m) for m in sample.members if _extension(m) == "txt"]
    for fields in _json_fields(sample):
        for key in keys:
            for name, value in fields.items():
                if name.lower() == key.lower():
                    texts += [v for v in (value if isinstance(value, list) else [value]) if isinstance(v, str)]
    captions = tuple(dict.fromkeys(caption for text in texts for caption in LINE.findall(text)))
    if any(LONE_SURROGATE.search(caption) for caption in captions):
        raise CaptionError(f"{sample.key}: expected Unicode text, found half a character (\\ud800); mend the caption")
    return captions


def link_fields(sample: Sample) -> tuple[str, ...]:
    """Names of the JSON fields, at any depth, that lead back to the original and are not null."""
    return tuple(name for fields in _json_fields(sample) for name in _links(fields))


def _links(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (name for name, inner in value.items() if is_link(name) and _holds(inner))
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _links(inner)


def rewrite_captions(sample: Sample, change: Change, settings: PublishSettings) -> Sample:
    """The sample with every caption changed, and with its link fields null if `settings.urls` is strip.

    Any other line or JSON string that repeats a caption, up to whitespace and case, is changed too: at any
    depth, inside JSON kept in a string (`exif`), in further members like KEY.en.txt. All else stays, byte for
    byte. Raises CaptionError as `captions_of` does.
    """
    clean = {fold(caption) for caption in captions_of(sample, settings.caption_keys)}
    sweep = _sweeper(change, clean)
    keys = {key.lower() for key in settings.caption_keys}

    def value(path: JsonPath, old: Any) -> Any:
        name = (path[0] or "").lower() if path else ""
        if settings.urls == "strip" and any(is_link(field) for field in path if field):
            return None
        if not isinstance(old, str):
            return old
        is_caption = name in keys and path[1:] in ((), (None,))
        return _change_lines(old, change) if is_caption else sweep(old)

    def rewrite(member: Member) -> bytes:
        match _extension(member).rpartition("."):
            case ["", "", "txt"]:
                return _change_lines(_text(sample, member), change).encode()
            case ["", "", "json"]:
                return _edit_json(_text(sample, member), value).encode()
            case [_, _, "txt" | "json"]:
                return _sweep_bytes(member.data, sweep)
        return member.data

    return replace_members(sample, {_extension(m): rewrite(m) for m in sample.members if _extension(m)})


def _extension(member: Member) -> str:
    return split_name(member.name)[1]


def _text(sample: Sample, member: Member) -> str:
    try:
        return member.data.decode()
    except UnicodeDecodeError as error:
        raise CaptionError(
            f"{sample.key}: expected UTF-8 in {member.name}, found byte {member.data[error.start]:#04x} at "
            f"{error.start}; convert the file to UTF-8"
        ) from error


def _json_fields(sample: Sample) -> list[dict[str, Any]]:
    """The JSON object of a sample, if it has one."""
    parsed = []
    for member in sample.members:
        if _extension(member) == "json":
            try:
                parsed.append(json.loads(_text(sample, member).removeprefix(BOM)))
            except (json.JSONDecodeError, RecursionError) as error:
                raise CaptionError(
                    f"{sample.key}: expected JSON in {member.name}, found {error}; mend or remove the file"
                ) from error
    return [fields for fields in parsed if isinstance(fields, dict)]


def _holds(value: Any) -> bool:
    if isinstance(value, dict | list):
        return any(_holds(v) for v in (value.values() if isinstance(value, dict) else value))
    return value is not None


def _change_lines(text: str, change: Change) -> str:
    return LINE.sub(lambda line: change(line[0]), text)


def _sweeper(change: Change, clean: Collection[str]) -> Change:
    """Changes only the lines that repeat a clean caption, also inside JSON."""

    def line(text: str) -> str:
        return change(text) if fold(text) in clean else text

    def sweep(text: str) -> str:
        if text.lstrip(" \t\r\n" + BOM)[:1] in ("{", "["):
            try:
                json.loads(text.removeprefix(BOM))
                return _edit_json(text, lambda _, value: sweep(value) if isinstance(value, str) else value)
            except (json.JSONDecodeError, RecursionError):
                pass  # a text like any other
        return _change_lines(text, line)

    return sweep


def _sweep_bytes(data: bytes, sweep: Change) -> bytes:
    try:
        return sweep(data.decode()).encode()
    except UnicodeDecodeError:
        return data


def _edit_json(text: str, change: Callable[[JsonPath, Any], Any]) -> str:
    """Valid JSON with each scalar replaced by change(path, scalar); what does not change stays as written."""
    path: list[str | None] = []
    in_object: list[bool] = []
    at_name = False

    def replace(match: re.Match[str]) -> str:
        nonlocal at_name
        token = match[0]
        if token in "{[":
            path.append(None)
            in_object.append(token == "{")
        elif token in "}]":
            path.pop()
            in_object.pop()
        if token in "{}[]:,":
            at_name = token in "{," and in_object[-1]
            return token
        scalar = json.loads(token)
        if at_name:
            path[-1] = scalar
            return token
        new = change(tuple(path), scalar)
        return token if new is scalar or new == scalar else _literal(new, token)

    return BOM * text.startswith(BOM) + TOKEN.sub(replace, text.removeprefix(BOM))


def _literal(value: Any, style: str) -> str:
    escape = style.isascii() or (isinstance(value, str) and LONE_SURROGATE.search(value) is not None)
    return json.dumps(value, ensure_ascii=escape)
