"""A shard's parquet: its captions changed like those of the samples, at any depth, and every row accounted for."""

import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from protect.data.captions import CaptionError, Undecided
from protect.data.edits import Change, Edits
from protect.data.extras import what_is_value
from protect.data.json_text import JsonPath, edit_json, holds_json
from protect.data.links import is_place, own_names
from protect.data.parquet_types import column_of, described, fitted, holds_text, matters, plain, writable_schema
from protect.data.sample_keys import Keys, key_text
from protect.data.scratch import at_hand
from protect.data.storage import Place
from protect.data.text import LINE, is_text, read_text
from protect.settings.publish import PublishSettings

SEEN = 1024  # rows that are held at once where nothing is written
ROWS = ("changed", "unchanged", "dropped", "unmatched", "without picture")  # what can become of one
FETCHED = ("success", None, "")  # any other status: the row's picture was never in the shard


def look_at_parquet(parquet: Place, settings: PublishSettings) -> Undecided:
    """What in a parquet only its owner can decide about: columns of links, and of what may show the pictures."""
    asked = PublishSettings(caption_keys=settings.caption_keys, keep_gps=settings.keep_gps)
    links, others = dict[str, None](), dict[str, None]()
    with at_hand(parquet) as path, _named(parquet), _opened(path) as file:
        about = Edits((), str, asked, ())
        described(file.schema_arrow, partial(_about, about))
        links |= dict.fromkeys(about.links)
        others |= dict.fromkeys(about.others)
        for batch in file.iter_batches(batch_size=SEEN):
            rows = _Rows(pa.Table.from_batches([batch]), asked, {})
            for row in range(len(rows)):
                edits = rows.edits(row, _nothing, asked)
                for place in rows.columns:
                    rows.edited(place, row, edits)
                links |= dict.fromkeys(edits.links)
                others |= dict.fromkeys(edits.others)
    return Undecided(tuple(links), tuple(others))


def check_parquet(path: Path) -> None:
    """Raises CaptionError when a file is no parquet, or has no column that names the samples."""
    with _named(path), _opened(path) as file:
        if "key" not in file.schema_arrow.names:
            raise CaptionError(
                f"{path}: expected a column key that names the samples, found {', '.join(file.schema_arrow.names)}; "
                "add it or move the parquet away"
            )


def parquet_captions(parquet: Place, settings: PublishSettings) -> dict[str, tuple[str, ...]]:
    """The captions of each row by its key, as text; nothing where there is no column of keys or of captions."""
    found: dict[str, tuple[str, ...]] = {}
    with at_hand(parquet) as path, _named(parquet), _opened(path) as file:
        if "key" not in file.schema_arrow.names:
            return {}
        names = [f.name for f in file.schema_arrow if f.name != "key" and holds_text(f.type)]
        for batch in file.iter_batches(batch_size=SEEN, columns=["key", *names]):
            rows = _Rows(pa.Table.from_batches([batch]), settings, {})
            for row, key in enumerate(rows.keys):
                if captions := rows.captions(row):
                    found.setdefault(key_text(key), tuple(dict.fromkeys(captions)))
    return found


def rewrite_parquet(
    source: Path,
    target: Path,
    words: Mapping[str, Change],
    dropped: Collection[str],
    settings: PublishSettings,
    kept: Collection[str] = (),
    captions: Mapping[str, Collection[str]] | None = None,
    counts: Counter[str] | None = None,
) -> None:
    """A shard's parquet with the captions of rows changed as `words` says for their sample.

    Rows of `dropped` samples stay, with captions and links null and status "dropped"; rows of `kept` ones stay as
    they are. Values that repeat a row's caption, or one of `captions` of its sample, are changed too. Order, row
    groups and metadata stay, and types where they have room. `counts` grows by the rows of each kind (ROWS) and by
    what was emptied. Raises CaptionError when there is no `key` column, the file cannot be read or written again,
    or rows belong to no sample and nothing was said about those.
    """
    part = target.with_name(target.name + ".part")
    keys, counts = Keys([*words, *dropped, *kept]), Counter() if counts is None else counts
    may_empty = bool(dropped) or settings.urls == "strip" or "drop" in (settings.others, settings.unmatched)
    may_empty |= not settings.keep_gps and _has_places(source)
    check_parquet(source)
    try:
        with _named(source), _opened(source) as file, part.open("wb") as sink:
            about = Edits((c for some in (captions or {}).values() for c in some), _emptied, settings, ())
            schema = described(writable_schema(file.schema_arrow, may_empty), partial(_about, about))
            form = {"compression": _codec(file), "use_compliant_nested_type": _is_compliant(file)}
            with pq.ParquetWriter(sink, schema, **form) as writer:
                for group in range(file.num_row_groups):
                    rows = _Rows(file.read_row_group(group), settings, captions or {})
                    table = rows.rewritten(schema, keys, words, dropped, counts)
                    writer.write_table(table, row_group_size=max(1, table.num_rows))
            _check_rows(source, counts, settings)
            sink.flush()
            os.fsync(sink.fileno())
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


class _Rows:
    """One row group, its columns that can hold text, bytes or links as Python values by their place."""

    def __init__(self, table: Any, settings: PublishSettings, captions: Mapping[str, Collection[str]]) -> None:
        self.table, self.settings, self.known = table, settings, captions
        place = table.column_names.index("key") if "key" in table.column_names else None
        self.keys = [None] * table.num_rows if place is None else plain(table.column(place)).to_pylist()
        self.names = {i: f.name for i, f in enumerate(table.schema) if i != place and matters(f)}
        self.columns = {i: plain(table.column(i)).to_pylist() for i in self.names}
        self.asked = {key.lower() for key in settings.caption_keys}
        self.flat = any(name.lower() in self.asked for name in self.names.values())

    def __len__(self) -> int:
        return self.table.num_rows

    def is_caption(self, path: JsonPath) -> bool:
        """A column of captions; where a table has none, a field of that name inside another column."""
        names = [name for name in path if name]
        return (names[0] if self.flat else names[-1]).lower() in self.asked

    def captions(self, row: int, key: str | None = None) -> list[str]:
        """The captions in a row, and those that its sample is known to have."""
        values = (found for i, name in self.names.items() for found in _texts(self.columns[i][row], (name,)))
        own = (line for path, text in values if self.is_caption(path) for line in LINE.findall(text))
        return [*own, *self.known.get(key or "", ())]

    def edits(self, row: int, change: Change, settings: PublishSettings, key: str | None = None) -> Edits:
        own = own_names(key_text(self.keys[row]))
        return Edits(self.captions(row, key), change, settings, own, self.is_caption)

    def edited(self, place: int, row: int, edits: Edits) -> Any:
        return _walk(self.columns[place][row], (self.names[place],), edits)

    def rewritten(
        self, schema: Any, keys: Keys, words: Mapping[str, Change], dropped: Collection[str], counts: Counter[str]
    ) -> Any:
        """The rows as they go out."""
        found = [keys.find(key) for key in self.keys]
        fates = [self._fate(row, key, words, dropped) for row, key in enumerate(found)]
        counts.update(fates)
        emptied = {row for row, fate in enumerate(fates) if self._is_emptied(fate)}
        strict = replace(self.settings, urls="strip", others="drop")
        edits = []
        for row, key in enumerate(found):
            change = words[key] if key is not None and fates[row] == "changed" else _nothing
            settings = strict if row in emptied else self.settings
            edits.append(self.edits(row, _emptied if row in emptied else change, settings, key))
        columns = []
        for place, field in enumerate(schema):
            new = old = self.columns.get(place)
            if old is not None:
                new = [self._value(place, row, edits[row], row in emptied) for row in range(len(self))]
            column = self.table.column(place)
            columns.append(fitted(column, field.type) if new == old else column_of(new or [], field.type))
        for done in edits:
            counts.update({name: done.counts[name] for name in ("links", "places", "embedded") if done.counts[name]})
        return pa.table(columns, schema=schema)

    def _value(self, place: int, row: int, edits: Edits, is_emptied: bool) -> Any:
        if is_emptied and self.names[place] == "status":
            return "dropped"
        if is_emptied and self.is_caption((self.names[place],)):
            return None
        return self.edited(place, row, edits)

    def _fate(self, row: int, key: str | None, words: Mapping[str, Change], dropped: Collection[str]) -> str:
        if key is not None:
            return "changed" if key in words else "dropped" if key in dropped else "unchanged"
        status = next((self.columns[i][row] for i, name in self.names.items() if name == "status"), None)
        return "unmatched" if status in FETCHED else "without picture"

    def _is_emptied(self, fate: str) -> bool:
        return fate == "dropped" or (fate == "unmatched" and self.settings.unmatched == "drop")


def _about(edits: Edits, text: bytes) -> bytes:
    """A text that describes a file: links and captions in it go, the names of columns stay."""
    if not is_text(text):
        return edits.value((), text) or b""
    found = read_text(text)
    if holds_json(found.text) is not None:
        return found.encode(edit_json(found.text, lambda path, old: edits.value((), old)))
    return found.encode(edits.value((), found.text) or "")


def _nothing(caption: str) -> str:
    return caption


def _emptied(caption: str) -> str:
    return ""


def _walk(value: Any, path: JsonPath, edits: Edits) -> Any:
    """A value with everything in it edited; pairs are the entries of a map."""
    if isinstance(value, dict):
        return {name: _walk(inner, (*path, name), edits) for name, inner in value.items()}
    if isinstance(value, list):
        if what_is_value(value):
            return edits.embedded(path, value, "a list of many numbers")
        return [_entry(v, path, edits) if isinstance(v, tuple) else _walk(v, (*path, None), edits) for v in value]
    return edits.value(path, value)


def _entry(entry: tuple, path: JsonPath, edits: Edits) -> tuple:
    name, value = entry
    text = name if isinstance(name, str) else None
    return (edits.name(name) if text else name), _walk(value, (*path, text), edits)


def _texts(value: Any, path: JsonPath) -> Iterator[tuple[JsonPath, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _texts(inner, (*path, name))
    elif isinstance(value, list):
        for inner in value:
            entry = inner if isinstance(inner, tuple) else (None, inner)
            yield from _texts(entry[1], (*path, entry[0] if isinstance(entry[0], str) else None))
    elif isinstance(value, bytes) and value and is_text(value):
        yield path, read_text(value).text
    elif isinstance(value, str):
        yield path, value


def _has_places(source: Path) -> bool:
    with _named(source), _opened(source) as file:
        return any(is_place(name) for name in file.schema_arrow.names) or any(
            is_place(file.schema.column(i).path) for i in range(file.metadata.num_columns)
        )


def _check_rows(source: Path, counts: Counter[str], settings: PublishSettings) -> None:
    if counts["unmatched"] and not settings.unmatched:
        raise CaptionError(
            f"{source}: expected a sample of the shard for every row, found none for {counts['unmatched']} of "
            f"{sum(counts[name] for name in ROWS)} rows; say --unmatched keep to publish these as they are, or "
            "--unmatched drop to empty them"
        )


@contextmanager
def _named(path: Place) -> Iterator[None]:
    """Whatever Arrow finds wrong with a file is told in one line."""
    try:
        yield
    except CaptionError:
        raise
    except (pa.ArrowException, ValueError, TypeError, OverflowError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # the disk's; without a number it is Arrow's
            raise
        found = " ".join(str(error).splitlines()[:1]) or type(error).__name__
        raise CaptionError(
            f"{path}: expected rows that can be read and written, found {found}; make it again"
        ) from error


def _opened(path: Path) -> Any:
    try:
        return pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise CaptionError(f"{path}: expected a parquet file, found something else; write it again") from error


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
