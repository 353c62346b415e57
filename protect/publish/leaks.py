"""What in published files still leads to the clean originals: a static scan of shards and their parquets.

It reads metadata and the outer structure of the pictures, never their pixels.
"""

import json
import re
import struct
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from protect.data.captions import BOM, CaptionError, fold, is_link
from protect.data.containers import _blocks, _Damage
from protect.data.metadata.xmp import is_marked, read_xmp
from protect.data.parquet import parquet_links
from protect.data.shards import IMAGE_EXTENSIONS, ShardError, read_samples, split_name
from protect.types import Member, Sample

THUMBNAIL_TAGS = {0x0111, 0x0201}  # strip offsets, JPEG offset
XMP_STARTS = {
    "APP1": b"http://ns.adobe.com/",
    "APP13": b"",
    "iTXt": b"XML:com.adobe.xmp",
    "tEXt": b"Raw profile type",
    "zTXt": b"Raw profile type",
    "XMP ": b"",
}
PICTURE_STARTS = {
    "APP2": b"MPF\0",
    "APP11": b"JP",
    "caBX": b"",
    "C2PA": b"",
}  # further pictures, C2PA thumbnails

PREVIEWS = (b"xmpGImg", b"Thumbnails", b"xmpMM:", b"GCamera", b"hdrgm")  # pictures and histories in a packet

Clean = Callable[[str], Sequence[str]]
Finding = tuple[str, str]  # kind, detail


@dataclass(frozen=True)
class Leak:
    """One finding; `key` is empty when it is about the file as a whole.

    `kind` is caption, link, thumbnail, xmp, extra picture or unreadable.
    """

    shard: str
    key: str
    kind: str
    detail: str


def scan_shard(path: Path, clean: Clean, caption_keys: Collection[str]) -> Iterator[Leak]:
    """Leaks of a tar; `clean` gives the clean captions of a key (none if unknown). Damage is a leak too.

    A caption leaks when a line of text, or of a JSON string at any depth, equals a clean one up to whitespace
    and case. `caption_keys` only tells in the detail whether the field is one that protection rewrites.
    """
    try:
        for sample in read_samples(path):
            yield from scan_sample(sample, path.name, clean(sample.key) if sample.key else (), caption_keys)
    except ShardError as error:
        yield Leak(path.name, "", "unreadable", str(error))


def scan_sample(sample: Sample, shard: str, clean: Sequence[str], caption_keys: Collection[str]) -> Iterator[Leak]:
    """Leaks of one sample with these clean captions, as `scan_shard` finds them."""
    known = {fold(caption) for caption in clean}
    for kind, detail in dict.fromkeys(_sample_findings(sample, known, caption_keys)):
        yield Leak(shard, sample.key, kind, detail)


def scan_parquet(path: Path, clean: Clean, caption_keys: Collection[str]) -> Iterator[Leak]:
    """Leaks of a shard's parquet: columns of links, and rows with a clean caption of their `key`."""
    try:
        for name in parquet_links(path):
            yield Leak(path.name, "", "link", f"column {name}")
        with pq.ParquetFile(path) as file:
            columns = [f.name for f in file.schema_arrow if "string" in str(f.type) or f.name in caption_keys]
            if "key" not in file.schema_arrow.names:
                yield Leak(path.name, "", "unreadable", "no column key: its captions cannot be checked")
                return
            for batch in file.iter_batches(batch_size=1024, columns=[*dict.fromkeys(["key", *columns])]):
                for row in batch.to_pylist():
                    key = str(row.pop("key"))
                    known = {fold(caption) for caption in clean(key)}
                    for detail in dict.fromkeys(_caption_fields(row, known, caption_keys)):
                        yield Leak(path.name, key, "caption", detail)
    except (CaptionError, pa.ArrowInvalid) as error:
        yield Leak(path.name, "", "unreadable", str(error))
    except OSError as error:
        if error.errno is not None:  # without a number it is Arrow's word for damage
            raise
        yield Leak(path.name, "", "unreadable", str(error))


def _sample_findings(sample: Sample, clean: Collection[str], keys: Collection[str]) -> Iterator[Finding]:
    for member in sample.members:
        extension = split_name(member.name)[1]
        try:
            if extension in IMAGE_EXTENSIONS:
                findings = _image_findings(member.data, clean)
            elif extension.endswith("txt"):
                findings = _text_findings(member.data.decode(), clean)
            elif extension.endswith("json"):
                findings = _json_findings(member, clean, keys)
            else:
                continue
            for kind, detail in findings:
                yield kind, f"{member.name}: {detail}"
        except (_Damage, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
            yield "unreadable", f"{member.name}: {error}"


def _text_findings(text: str, clean: Collection[str]) -> Iterator[Finding]:
    if _repeats(text, clean):
        yield "caption", "a clean caption"


def _json_findings(member: Member, clean: Collection[str], keys: Collection[str]) -> Iterator[Finding]:
    fields = json.loads(member.data.decode().removeprefix(BOM))
    for path, value in _leaves(fields, ()):
        name = next((name for name in path if is_link(name)), None)
        if name is not None and value is not None:
            yield "link", f"field {name}"
    for detail in _caption_fields(fields, clean, keys):
        yield "caption", detail


def _caption_fields(fields: Any, clean: Collection[str], keys: Collection[str]) -> Iterator[str]:
    for path, value in _leaves(fields, ()):
        if isinstance(value, str) and _repeats(value, clean):
            known = bool(path) and path[0].lower() in {key.lower() for key in keys}
            yield f"{'caption field' if known else 'field outside the caption keys:'} {'.'.join(path)}"


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Scalars with the names of the fields around them; a string of JSON also counts as what it holds."""
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, (*path, str(name)))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _leaves(inner, path)
    else:
        yield path, value
        if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
            try:
                held = json.loads(value)
            except (json.JSONDecodeError, RecursionError):
                return
            yield from _leaves(held, path)


def _repeats(text: str, clean: Collection[str]) -> bool:
    return any(fold(line) in clean for line in re.split(r"[\r\n]", text.replace(BOM, "")) if line.strip())


def _image_findings(data: bytes, clean: Collection[str]) -> Iterator[Finding]:
    blocks = list(_blocks(data))
    ours = any(is_marked(body) for name, body in blocks if name in XMP_STARTS)
    for name, body in blocks:
        if name == "end":
            if body.strip(b"\0"):
                yield "extra picture", f"{len(body)} bytes behind the end of the picture"
            continue
        if name in XMP_STARTS and body.startswith(XMP_STARTS[name]) and not (ours and _is_plain(body)):
            yield "xmp", f"{name.strip()} block of {len(body)} bytes"
        if any(_repeats(text, clean) for text in _packet_texts(body)):
            yield "caption", f"{name.strip()} block"
        if name in PICTURE_STARTS and body.startswith(PICTURE_STARTS[name]):
            yield "extra picture", f"{name} block of {len(body)} bytes"
        exif = body.startswith(b"Exif\0\0") or name in ("eXIf", "EXIF")
        if exif and _has_thumbnail(body.removeprefix(b"Exif\0\0")):
            yield "thumbnail", "EXIF IFD1"
        if name == "APP0" and (body.startswith(b"JFXX") or (body.startswith(b"JFIF") and any(body[12:14]))):
            yield "thumbnail", "JFIF"
        if any(_repeats(text.decode(errors="replace"), clean) for text in body.split(b"\0")):
            yield "caption", f"{name.strip()} block"


def _is_plain(body: bytes) -> bool:
    """Whether a block holds what this tool writes and no more: its own packet, or the text records of IPTC."""
    if body.startswith(b"Photoshop 3.0\0"):
        return body.count(b"8BIM") == 1 and body[14:20] == b"8BIM\x04\x04"
    return is_marked(body) and not any(word in body for word in PREVIEWS)


def _packet_texts(body: bytes) -> Iterator[str]:
    """The captions in an XMP packet or in IPTC records."""
    start = body.find(b"<x:xmpmeta")
    if start >= 0:
        for values in read_xmp(body[start : body.rfind(b">") + 1].partition(b"<?xpacket end")[0]).values():
            yield from values
    for record in re.finditer(rb"\x1c\x02.(..)", body, re.DOTALL) if body.startswith(b"Photoshop 3.0\0") else ():
        yield body[record.end() : record.end() + int.from_bytes(record[1], "big")].decode(errors="replace")


def _has_thumbnail(tiff: bytes) -> bool:
    """Whether an EXIF block has a picture in its second directory."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return False
    try:
        (first,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, first)
        (second,) = struct.unpack_from(order + "I", tiff, first + 2 + 12 * count)
        (count,) = struct.unpack_from(order + "H", tiff, second) if second else (0,)
        tags = (struct.unpack_from(order + "H", tiff, second + 2 + 12 * i)[0] for i in range(count))
        return any(tag in THUMBNAIL_TAGS for tag in tags)
    except struct.error:
        return False  # breaks off before a thumbnail could be found by any reader
