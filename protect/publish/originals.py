"""The clean samples of a shard or a folder, read as a stranger would: what a leak scan compares with."""

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from protect.publish.leak_walk import Broken, in_bytes, key_of, tar_members
from protect.publish.leaks import CAPTION_FILES, MAIN, Originals, pictures_of, plain_key

Changes = Mapping[str, Callable[[str], str]]  # how captions go out, by plain key


def originals_of(shard: Path, caption_keys: Collection[str], changes: Changes | None = None) -> Originals:
    """The clean samples of a shard and its parquet: those in `changes`, which were protected, or else all of them.

    What cannot be read is left out.
    """
    found = Originals(caption_keys)
    captions, rows = dict[str, list[str]](), _parquet_captions(shard, caption_keys)
    pictures = dict[str, bytes]()

    def finish(key: str) -> None:
        if changes is None or key in changes:
            texts = [*captions.get(key, ()), *rows.get(key, ())]
            published = [] if changes is None else [changes[key](text) for text in texts]
            found.add(key, texts, published, pictures.get(key, b""))
        pictures.pop(key, None)

    last = ""
    try:
        for name, data in tar_members(shard):
            key = plain_key(key_of(name))
            if last and key != last and last in pictures:
                finish(last)
            last = key
            extension = name.rpartition("/")[2].partition(".")[2].lower()
            if extension in MAIN:
                pictures.setdefault(key, data)
            captions.setdefault(key, []).extend(_captions(extension, data, caption_keys))
    except Broken:
        pass
    for key in dict.fromkeys([*captions, *rows]):
        if key in pictures or key not in found.texts:
            finish(key)
    found.pictures.read = lambda wanted: pictures_of(shard, wanted)
    return found


def _captions(extension: str, data: bytes, keys: Collection[str]) -> Iterable[str]:
    """Lines of a text file, and the texts in a JSON object's fields of captions."""
    if extension in CAPTION_FILES:
        for leaf in in_bytes("", (), data):
            if isinstance(leaf.value, str):
                yield from filter(None, (line.strip("\ufeff \t\0") for line in re.split(r"[\r\n]+", leaf.value)))
                return
    elif extension == "json":
        try:
            fields = json.loads(data)
        except (ValueError, RecursionError):
            return
        if isinstance(fields, dict):
            yield from _named(fields, keys)


def _named(fields: dict[str, Any], keys: Collection[str]) -> Iterable[str]:
    wanted = {key.lower() for key in keys}
    for name, value in fields.items():
        if name.lower() in wanted:
            lines = (line for text in _strings(value) for line in re.split(r"[\r\n]+", text))
            yield from filter(None, map(str.strip, lines))


def _strings(value: Any) -> Iterable[str]:
    """The texts in a value; the names of its fields are none."""
    if isinstance(value, dict | list | tuple):
        inner = value.values() if isinstance(value, dict) else value
        yield from (text for part in inner for text in _strings(part))
    elif isinstance(value, bytes):
        yield from (leaf.value for leaf in in_bytes("", (), value) if isinstance(leaf.value, str))
    elif isinstance(value, str):
        yield value


def _parquet_captions(shard: Path, keys: Collection[str]) -> dict[str, list[str]]:
    path = shard.with_name(f"{shard.name.partition('.tar')[0].partition('.tgz')[0]}.parquet")
    found: dict[str, list[str]] = {}
    try:
        with pq.ParquetFile(path) as file:
            names = [name for name in file.schema_arrow.names if name.lower() in {key.lower() for key in keys}]
            if "key" in file.schema_arrow.names and names:
                for batch in file.iter_batches(columns=["key", *names]):
                    for row in batch.to_pylist():
                        found.setdefault(plain_key(row.pop("key")), []).extend(_named(row, keys))
    except (OSError, pa.ArrowException):
        pass
    return found
