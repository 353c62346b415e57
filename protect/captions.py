"""Where a sample's captions and links to its original stand, and how they are changed in place.

A caption is one line, without the whitespace around it: of the `.txt`, of a JSON field, of a parquet column.
"""

import json
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from protect.settings import PublishSettings
from protect.shards import replace_members, split_name
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
    found = []
    for member in sample.members:
        if _extension(member) == "json":
            try:
                found.append(json.loads(_text(sample, member).removeprefix(BOM)))
            except (json.JSONDecodeError, RecursionError) as error:
                raise CaptionError(
                    f"{sample.key}: expected JSON in {member.name}, found {error}; mend or remove the file"
                ) from error
    return [fields for fields in found if isinstance(fields, dict)]


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


def parquet_links(path: Path) -> tuple[str, ...]:
    """Columns of a parquet that lead back to the originals and hold anything."""
    with _open_parquet(path) as file:
        names = [name for name in file.schema_arrow.names if is_link(name)]
        tables = [file.read_row_group(g, columns=names) for g in range(file.num_row_groups)] if names else []
    return tuple(n for n in names if any(t.column(n).null_count < t.num_rows for t in tables))


def rewrite_parquet(
    source: Path,
    target: Path,
    words: Mapping[str, Change],
    dropped: Collection[str],
    settings: PublishSettings,
) -> None:
    """A shard's parquet with the captions of rows changed as `words` says for their `key`.

    Rows of `dropped` keys stay, with captions and links null and status "dropped". Text columns that repeat
    a row's caption are changed too. Schema, types, metadata, row groups and order stay. Raises CaptionError
    when there is no `key` column or captions are no text.
    """
    part = target.with_name(target.name + ".part")
    try:
        with _open_parquet(source) as file, part.open("wb") as sink:
            schema = file.schema_arrow
            _check_schema(source, schema, settings)
            form = {"compression": _codec(file), "use_compliant_nested_type": _is_compliant(file)}
            with pq.ParquetWriter(sink, schema, **form) as writer:
                for group in range(file.num_row_groups):
                    rows = _change_rows(file.read_row_group(group), words, dropped, settings)
                    writer.write_table(rows, row_group_size=max(1, rows.num_rows))
            sink.flush()
            os.fsync(sink.fileno())
        os.replace(part, target)
    except pa.ArrowInvalid as error:
        raise CaptionError(
            f"{source}: expected sound rows with nullable captions and links, "
            f"found {str(error).splitlines()[0]}; write the parquet again"
        ) from error
    finally:
        part.unlink(missing_ok=True)


def _open_parquet(path: Path) -> Any:
    try:
        return pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise CaptionError(f"{path}: expected a parquet file, found something else; write it again") from error


def _check_schema(source: Path, schema: Any, settings: PublishSettings) -> None:
    if "key" not in schema.names:
        raise CaptionError(
            f"{source}: expected a column key that names the samples, found {', '.join(schema.names)}; "
            "add it or move the parquet away"
        )
    keys = {key.lower() for key in settings.caption_keys}
    for field in schema:
        number = pa.types.is_primitive(field.type) or pa.types.is_null(field.type)
        if field.name.lower() in keys and not _is_text(field.type) and not number:
            raise CaptionError(
                f"{source}: expected text in column {field.name}, found {field.type}; cast it to string"
            )


def _is_text(kind: Any) -> bool:
    if pa.types.is_dictionary(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _is_text(kind.value_type)
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _codec(file: Any) -> str | dict[str, str]:
    """The compression of the first row group, by column where it differs."""
    if not file.num_row_groups or not file.metadata.num_columns:
        return "snappy"
    group = file.metadata.row_group(0)
    columns = [group.column(i) for i in range(group.num_columns)]
    codecs = {c.path_in_schema: "none" if c.compression == "UNCOMPRESSED" else c.compression for c in columns}
    return codecs if len(set(codecs.values())) > 1 else next(iter(codecs.values()))


def _is_compliant(file: Any) -> bool:
    """Whether lists are named as the parquet specification now says; older writers called an element item."""
    return not any(".list.item" in file.schema.column(i).path for i in range(file.metadata.num_columns))


def _change_rows(rows: Any, words: Mapping[str, Change], dropped: Collection[str], settings: PublishSettings) -> Any:
    keys = [str(key) for key in rows.column("key").to_pylist()]
    caption_keys = {key.lower() for key in settings.caption_keys}
    columns = {f.name: rows.column(f.name).to_pylist() for f in rows.schema if _is_text(f.type) and f.name != "key"}
    captions = [name for name in columns if name.lower() in caption_keys]
    clean = [{fold(c) for name in captions for c in _lines(columns[name][i])} for i in range(len(keys))]

    def text(name: str, row: int, old: Any) -> Any:
        if keys[row] in dropped:
            if name == "status":
                return "dropped"
            return None if name in captions else _map(old, _sweeper(lambda _: "", clean[row]))
        if keys[row] not in words:
            return old
        change = words[keys[row]]
        if name in captions:
            return _map(old, lambda value: _change_lines(value, change))
        return _map(old, _sweeper(change, clean[row]))

    def link(row: int, old: Any) -> Any:
        return None if settings.urls == "strip" or keys[row] in dropped else old

    for place, field in enumerate(rows.schema):
        old = columns.get(field.name)
        if is_link(field.name):
            old = rows.column(field.name).to_pylist()
            new = [link(row, value) for row, value in enumerate(old)]
        elif old is not None:
            new = [text(field.name, row, value) for row, value in enumerate(old)]
        if old is not None and new != old:
            rows = rows.set_column(place, field, pa.array(new, type=field.type))
    return rows


def _map(value: Any, change: Change) -> Any:
    if isinstance(value, list):
        return [_map(v, change) for v in value]
    return change(value) if isinstance(value, str) else value


def _lines(value: Any) -> Iterable[str]:
    values = value if isinstance(value, list) else [value]
    return [caption for v in values if isinstance(v, str) for caption in LINE.findall(v)]
