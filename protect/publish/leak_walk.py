"""Every text, number list and picture in published files, however deep it lies, found as a stranger would.

Shares no code with what writes the files.
"""

import base64
import binascii
import bz2
import io
import json
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

DEEPEST = 6
MOST = 1 << 28  # bytes unpacked from one member
FEWEST_PIXELS = 192  # numbers in a list from which on it may be a picture
PICTURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM", b"II*\0", b"MM\0*")
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1b]")
PNM = re.compile(rb"P[1-6]\s")
NUMBERS = re.compile(r"[\s\d.,;|+\-eE\[\]()]{384,}")
WRITTEN = re.compile(r"base64,([A-Za-z0-9+/=_-]{40,})|(?<![\w+/-])([A-Za-z0-9+/_-]{512,}={0,2})")
INNER = re.compile(rb"\xff\xd8\xff[\xe0-\xef\xdb]|\x89PNG\r\n\x1a\n")
ENCODED = re.compile(r"(?:data:[^,]{0,200},)?\s*([A-Za-z0-9+/_\s-]{40,}={0,2})\s*")
MARKS = (
    (b"\xff\xfe\0\0", "utf-32-le"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
    (b"\xef\xbb\xbf", "utf-8-sig"),
)


class Picture(NamedTuple):
    """The bytes of a picture file."""

    data: bytes


class Leaf(NamedTuple):
    """One thing found: where, under which names, and a str, a number, bytes, an array or a Picture."""

    place: str
    names: tuple[str, ...]
    value: Any


class Broken(ValueError):
    """A tar that cannot be read to its end."""


def tar_members(path: Path, wanted: Callable[[str], bool] = lambda name: True) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of a tar's wanted files, however it is packed and whatever stands between its parts.

    Raises Broken after the last that can be read.
    """
    count = 0
    try:
        with tarfile.open(path, "r:*", ignore_zeros=True) as tar:
            for member in tar:
                tar.members.clear()  # type: ignore[attr-defined]  # else every header read stays in memory
                count += 1
                file = tar.extractfile(member) if member.isreg() and wanted(member.name) else None
                if file is not None:
                    yield member.name, file.read()
    except (tarfile.TarError, EOFError, zlib.error, ValueError, OverflowError, lzma.LZMAError) as error:
        raise Broken(str(error)) from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise Broken(str(error)) from error
    if not count and path.read_bytes().strip(b"\0"):
        raise Broken("no files in it")


def key_of(name: str) -> str:
    """The sample that a member belongs to: its name up to the first dot of the last part."""
    folder, slash, file = name.rpartition("/")
    return folder + slash + (file[:1] + file[1:].partition(".")[0])


def in_bytes(place: str, names: tuple[str, ...], data: bytes, depth: int = 0) -> Iterator[Leaf]:
    """What bytes hold: a picture, packed files, an array, text, or things of these kinds somewhere inside."""
    if not data or depth > DEEPEST:
        return
    if data.startswith(PICTURES) or data[8:12] == b"WEBP" or data[4:8] == b"ftyp" or PNM.match(data):
        yield Leaf(place, names, Picture(data))
    elif (unpacked := _unpacked(data)) is not None:
        yield from in_bytes(place, names, unpacked, depth + 1)
    elif data.startswith(b"PK\x03\x04"):
        yield from _zipped(place, names, data, depth)
    elif data.startswith(b"\x93NUMPY"):
        yield from _array(place, names, data)
    elif (text := _decoded(data)) is not None:
        yield from in_text(place, names, text, depth)
    else:
        yield Leaf(place, names, data)
        for number, start in enumerate(found.start() for found in INNER.finditer(data)):
            if number < 16:
                yield Leaf(f"{place}: at byte {start}", names, Picture(data[start:]))


def in_text(place: str, names: tuple[str, ...], text: str, depth: int = 0) -> Iterator[Leaf]:
    """A text, and what it holds written out: JSON, JSON lines, base64."""
    stripped = text.strip("\ufeff \t\r\n")
    documents = list(_documents(stripped)) if stripped[:1] in ("{", "[") and depth <= DEEPEST else []
    if not (documents and documents[0][0] is stripped):
        yield Leaf(place, names, text)  # of JSON the values are looked at instead
    if depth > DEEPEST:
        return
    if documents:
        for _, document in documents:
            yield from in_value(place, names, document, depth + 1)
    elif (encoded := ENCODED.fullmatch(text)) is not None:
        compact = re.sub(r"\s", "", encoded[1]).replace("-", "+").replace("_", "/")
        try:
            data = base64.b64decode(compact + "=" * (-len(compact) % 4))
        except binascii.Error:
            return
        if _decoded(data) is None:
            yield from in_bytes(place, names, data, depth + 1)
    elif len(text) > FEWEST_PIXELS:
        yield from _written_out(place, names, text, depth)


def _written_out(place: str, names: tuple[str, ...], text: str, depth: int) -> Iterator[Leaf]:
    """Pictures within a longer text: in base64, or as numbers, a row in each line."""
    for found in WRITTEN.finditer(text):
        compact = (found[1] or found[2]).rstrip("=").replace("-", "+").replace("_", "/")
        if len(compact) % 4 != 1:
            data = base64.b64decode(compact + "=" * (-len(compact) % 4))
            if _decoded(data) is None:
                yield from in_bytes(place, names, data, depth + 1)
    if NUMBERS.fullmatch(text):
        rows = [re.findall(r"[-+]?\d+(?:\.\d*)?", line) for line in text.splitlines()]
        numbers = [[float(number) for number in row] for row in rows if row]
        if sum(map(len, numbers)) >= FEWEST_PIXELS:
            even = len({len(row) for row in numbers}) == 1 and len(numbers) > 1
            yield Leaf(place, names, np.array(numbers if even else [n for row in numbers for n in row]))


def in_value(place: str, names: tuple[str, ...], value: Any, depth: int = 0) -> Iterator[Leaf]:
    """Values of JSON or of a table row at any depth; also the names of their fields."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield Leaf(place, (), str(name))
            yield from in_value(f"{place}.{name}".lstrip("."), (*names, str(name)), inner, depth)
    elif isinstance(value, list | tuple):
        if (array := _numbers(value)) is not None:
            yield Leaf(place, names, array)
            return
        for inner in value:
            yield from in_value(place, names, inner, depth)
    elif isinstance(value, bytes):
        yield from in_bytes(place, names, value, depth + 1)
    elif isinstance(value, str):
        yield from in_text(place, names, value, depth + 1)
    elif value is not None:
        yield Leaf(place, names, value)


def _documents(text: str) -> Iterator[tuple[str, Any]]:
    """The JSON of a text, or of each of its lines, beside what it was read from."""
    for part in (text, *text.splitlines()):
        try:
            yield part, json.loads(part)
        except (ValueError, RecursionError):
            continue
        if part is text:
            return


def _numbers(value: list | tuple) -> np.ndarray | None:
    first: Any = value
    while isinstance(first, list | tuple) and first:
        first = first[0]
    if isinstance(first, bool) or not isinstance(first, int | float):
        return None
    try:
        array = np.array(value)
    except (ValueError, OverflowError):
        return None
    return array if array.size >= FEWEST_PIXELS and array.dtype.kind in "uif" else None


def _unpacked(data: bytes) -> bytes | None:
    try:
        if data.startswith(b"\x1f\x8b"):
            return zlib.decompressobj(wbits=31).decompress(data, MOST)
        if data.startswith(b"BZh"):
            return bz2.BZ2Decompressor().decompress(data, MOST)
        if data.startswith(b"\xfd7zXZ"):
            return lzma.LZMADecompressor().decompress(data, MOST)
    except (OSError, zlib.error, lzma.LZMAError, EOFError, ValueError):
        pass
    return None


def _zipped(place: str, names: tuple[str, ...], data: bytes, depth: int) -> Iterator[Leaf]:
    yield Leaf(place, names, data)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for info in archive.infolist():
                if info.file_size <= MOST:
                    inner = archive.read(info)
                    yield from in_bytes(f"{place}/{info.filename}", (*names, info.filename), inner, depth + 1)
    except (zipfile.BadZipFile, OSError, zlib.error, ValueError, RuntimeError, NotImplementedError, EOFError):
        return


def _array(place: str, names: tuple[str, ...], data: bytes) -> Iterator[Leaf]:
    try:
        array = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, OSError, EOFError, MemoryError, SyntaxError, TypeError):
        yield Leaf(place, names, data)
        return
    if array.dtype.kind in "US":
        for text in array.ravel()[:10_000].tolist():
            yield Leaf(place, names, text if isinstance(text, str) else text.decode(errors="replace"))
    yield Leaf(place, names, array)


def _decoded(data: bytes) -> str | None:
    """Text in the encoding that its mark, its zeros or its bytes show; None for what is no text."""
    for mark, codec in MARKS:
        if data.startswith(mark):
            return data.decode(codec, errors="replace")
    if data.count(0) > len(data) // 4:
        for codec in ("utf-16-le", "utf-16-be"):
            text = data.decode(codec, errors="replace")
            if sum(c.isprintable() or c.isspace() for c in text) > 0.9 * len(text) and text.isascii():
                return text
        return None
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return text if len(CONTROL.findall(text)) <= len(text) // 10 else None
