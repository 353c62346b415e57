"""Captions and links in the parquet beside a shard, and how its rows are rewritten.

A caption is one line, without the whitespace around it: of the `.txt`, of a JSON field, of a parquet column.
"""

import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from protect.data.captions import LINE, CaptionError, Change, _change_lines, _sweeper, fold, is_link
from protect.settings.publish import PublishSettings


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
