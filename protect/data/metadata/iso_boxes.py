"""What the boxes of an AVIF or HEIC file say of its main picture: how its colours are meant, and its bit depth.

Readers give the pixels and keep this to themselves; a picture written without it is shown in other colours. Layout:
ISO/IEC 23008-12 (items and their properties), ISO/IEC 14496-12 (`colr`), ITU-T H.273 (code points).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

SRGB = (1, 13)  # primaries and transfer of the web's usual pictures
UNSAID = 2  # H.273: unspecified
HDR = {16: "PQ", 18: "HLG"}  # transfers whose full range needs more than 8 bits
IDENTITY = 0  # a matrix of files without loss


class Box(NamedTuple):
    """Type of a box, and where its content lies in the file."""

    name: bytes
    start: int
    end: int


@dataclass(frozen=True)
class Color:
    """Code points of H.273 for primaries, transfer and matrix."""

    primaries: int
    transfer: int
    matrix: int

    @property
    def is_usual(self) -> bool:
        return (self.primaries, self.transfer) in (SRGB, (UNSAID, UNSAID), (1, UNSAID), (1, 1))


def color_of(data: bytes) -> Color | None:
    """The code points of the main picture; None where the file has none, or is damaged."""
    box = _color_box(data)
    return Color(*struct.unpack_from(">HHH", data, box.start + 4)) if box else None


def with_color(data: bytes, color: Color) -> bytes:
    """A written file with these primaries and this transfer; its matrix stays, as its pixels are coded by it."""
    box = _color_box(data)
    if box is None:
        return data
    return data[: box.start + 4] + struct.pack(">HH", color.primaries, color.transfer) + data[box.start + 8 :]


def bit_depth_of(data: bytes) -> int:
    """Bits of a channel: of the main picture, or of the largest coded one where that says nothing; 8 if none does."""
    try:
        boxes = _properties(data)
        told = [data[at] for box in boxes if box.name == b"pixi" for at in range(box.start + 5, box.end)]
        coded = [data[box.start + 2] for box in _all_properties(data) if box.name == b"av1C"]
    except (struct.error, IndexError):
        return 8
    return max(told, default=0) or max((8 + 2 * (c >> 6 & 1) + 2 * (c >> 6 & c >> 5 & 1) for c in coded), default=8)


def _color_box(data: bytes) -> Box | None:
    try:
        boxes = _properties(data)
        candidates = (box for box in boxes if box.name == b"colr" and data[box.start : box.start + 4] == b"nclx")
        return next((box for box in candidates if box.end - box.start >= 10), None)
    except (struct.error, IndexError):
        return None


def _boxes(data: bytes, start: int, end: int) -> Iterator[Box]:
    while start + 8 <= end:
        length, name = struct.unpack_from(">I4s", data, start)
        head = 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, start + 8)
            head = 16
        stop = end if length == 0 else start + length
        if stop > end or stop < start + head:
            return
        yield Box(name, start + head, stop)
        start = stop


def _meta(data: bytes) -> dict[bytes, Box]:
    """The boxes of the file's description, by name."""
    meta = next((box for box in _boxes(data, 0, len(data)) if box.name == b"meta"), None)
    return {box.name: box for box in _boxes(data, meta.start + 4, meta.end)} if meta else {}


def _all_properties(data: bytes) -> list[Box]:
    holder = _meta(data).get(b"iprp")
    inside = {box.name: box for box in _boxes(data, holder.start, holder.end)} if holder else {}
    return list(_boxes(data, inside[b"ipco"].start, inside[b"ipco"].end)) if b"ipco" in inside else []


def _properties(data: bytes) -> list[Box]:
    """The properties of the main picture."""
    meta, boxes = _meta(data), _all_properties(data)
    if b"pitm" not in meta or b"iprp" not in meta:
        return []
    form = ">H" if data[meta[b"pitm"].start] == 0 else ">I"
    (main,) = struct.unpack_from(form, data, meta[b"pitm"].start + 4)
    numbers = [
        number
        for box in _boxes(data, meta[b"iprp"].start, meta[b"iprp"].end)
        if box.name == b"ipma"
        for item, number in _associations(data, box)
        if item == main
    ]
    return [boxes[number - 1] for number in numbers if 1 <= number <= len(boxes)]


def _associations(data: bytes, box: Box) -> Iterator[tuple[int, int]]:
    """Item and number of a property, from 1, for each property of each item."""
    version, flags = data[box.start], data[box.start + 3]
    item_form, number_form, mask = (
        ">I" if version else ">H",
        ">H" if flags & 1 else ">B",
        0x7FFF if flags & 1 else 0x7F,
    )
    (count,) = struct.unpack_from(">I", data, box.start + 4)
    at = box.start + 8
    for _ in range(count):
        if at >= box.end:
            return
        (item,) = struct.unpack_from(item_form, data, at)
        at += struct.calcsize(item_form)
        many = data[at]
        at += 1
        for _ in range(many):
            yield item, struct.unpack_from(number_form, data, at)[0] & mask
            at += struct.calcsize(number_form)
