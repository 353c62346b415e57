"""Directories of EXIF blocks and TIFF files as raw entries, so that what is kept is kept byte for byte.

A value is never interpreted on its way from the old file to the new one: its type, a text in any encoding, a rational
of 0/0 and a date of blanks stay what they were. Layout: TIFF 6.0, section 2; EXIF 2.32, section 4.6.
"""

import io
import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from io import BufferedIOBase

EXIF, GPS, INTEROP = 0x8769, 0x8825, 0xA005  # tags that point to further directories
BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED = 1, 2, 3, 4, 5, 7
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}  # bytes a value
PARTS = SIZES | {5: 4, 10: 4}  # bytes that change places with the byte order
FORMS = {b"II*\0": ("<", False), b"MM\0*": (">", False), b"II+\0": ("<", True), b"MM\0+": (">", True)}
MOST_ENTRIES = 1000
LARGEST = 1 << 20  # bytes of a value that are read


@dataclass(frozen=True)
class Entry:
    """Type and bytes of one value, in the byte order of its block."""

    kind: int
    data: bytes

    @property
    def count(self) -> int:
        return len(self.data) // SIZES[self.kind]


Directory = dict[int, Entry]


@dataclass
class Block:
    """The main directory and those it points to; `order` is that of `struct`: < or >."""

    order: str = "<"
    main: Directory = field(default_factory=dict)
    details: Directory = field(default_factory=dict)
    gps: Directory = field(default_factory=dict)
    interop: Directory = field(default_factory=dict)

    def number(self, directory: Mapping[int, Entry], tag: int) -> float | None:
        """The first number of an entry; None where there is none."""
        entry = directory.get(tag)
        if entry is None or not entry.count:
            return None
        if entry.kind in (RATIONAL, 10):
            above, below = struct.unpack_from(self.order + ("II" if entry.kind == RATIONAL else "ii"), entry.data)
            return above / below if below else None
        form = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d"}.get(entry.kind)
        return float(struct.unpack_from(self.order + form, entry.data)[0]) if form else None

    def short(self, value: int) -> Entry:
        return Entry(SHORT, struct.pack(self.order + "H", value))

    def long(self, value: int) -> Entry:
        return Entry(LONG, struct.pack(self.order + "I", value))


def read_block(data: bytes) -> Block | None:
    """The entries of an EXIF block, with or without its `Exif` header; None where there is no TIFF in it."""
    while data.startswith(b"Exif\0\0"):  # some programs write the header twice
        data = data[6:]
    return read_tiff(io.BytesIO(data))


def read_tiff(file: BufferedIOBase, wanted: Collection[int] | None = None) -> Block | None:
    """As `read_block`, from a TIFF file (BigTIFF too); of its main directory only the tags `wanted`.

    Entries that reach beyond the file, or are of no known type, are left out.
    """
    file.seek(0)
    head = file.read(16)
    if head[:4] not in FORMS or len(head) < 8:
        return None
    order, big = FORMS[head[:4]]
    start = struct.unpack_from(order + "Q", head.ljust(16, b"\0"), 8)[0] if big else _long(head, 4, order)
    main = _directory(file, start, order, big, wanted)
    block = Block(order, main)
    block.details = _below(file, block, main, EXIF, big)
    block.gps = _below(file, block, main, GPS, big)
    block.interop = _below(file, block, block.details, INTEROP, big)
    for directory, tag in ((main, EXIF), (main, GPS), (block.details, INTEROP)):
        directory.pop(tag, None)
    return block


def _below(file: BufferedIOBase, block: Block, directory: Directory, tag: int, big: bool) -> Directory:
    entry = directory.get(tag)
    if entry is None or entry.kind not in (LONG, 13) or not entry.count:
        return {}
    return _directory(file, _long(entry.data, 0, block.order), block.order, big, None)


def _long(data: bytes, at: int, order: str) -> int:
    return struct.unpack_from(order + "I", data, at)[0]


def _directory(file: BufferedIOBase, start: int, order: str, big: bool, wanted: Collection[int] | None) -> Directory:
    """Classic: 2 bytes of count, 12 an entry, 4 of them value or offset; big: 8, 20 and 8."""
    number, entry_form, room = ("Q", "HHQ", 8) if big else ("H", "HHI", 4)
    width = struct.calcsize(order + entry_form) + room
    file.seek(start)
    head = file.read(struct.calcsize(order + number))
    if len(head) < struct.calcsize(order + number):
        return {}
    (count,) = struct.unpack(order + number, head)
    table = file.read(min(count, MOST_ENTRIES) * width)
    entries: Directory = {}
    for at in range(0, len(table) - width + 1, width):
        tag, kind, count = struct.unpack_from(order + entry_form, table, at)
        length = SIZES.get(kind, 0) * count
        if tag in entries or kind not in SIZES or length > LARGEST or (wanted is not None and tag not in wanted):
            continue
        data = table[at + width - room : at + width][:length]
        if length > room:
            file.seek(struct.unpack_from(order + ("Q" if big else "I"), table, at + width - room)[0])
            data = file.read(length)
        if len(data) == length:
            entries[tag] = Entry(kind, data)
    return entries


def write_block(block: Block) -> bytes:
    """The EXIF block with its `Exif` header; empty for a block without entries."""
    if not (block.main or block.details or block.gps or block.interop):
        return b""
    head = (b"II*\0" if block.order == "<" else b"MM\0*") + struct.pack(block.order + "I", 8)
    return b"Exif\0\0" + head + _laid_out(block, block.main, 8)


def add_to_tiff(data: bytes, block: Block) -> bytes:
    """A written TIFF file (one page, classic, below 4 GB) with the entries of a block in its directories.

    They are appended, and the main directory after them; entries of the block replace those of the file.
    """
    order, big = FORMS.get(data[:4], ("", True))
    if big:
        raise ValueError(f"expected a classic TIFF, found bytes {data[:4].hex()}; write it without directories")
    start = _long(data, 4, order)
    (count,) = struct.unpack_from(order + "H", data, start)
    raw = {
        struct.unpack_from(order + "H", data, at)[0]: data[at : at + 12]
        for at in range(start + 2, start + 2 + 12 * count, 12)
    }
    block = in_order(block, order)
    whole = data + b"\0" * (len(data) % 2)
    kept = {tag: entry for tag, entry in raw.items() if tag not in block.main and tag not in (EXIF, GPS)}
    whole = whole[:4] + struct.pack(order + "I", len(whole)) + whole[8:]
    return whole + _laid_out(block, block.main, len(whole), kept)


def in_order(block: Block, order: str) -> Block:
    """The block in another byte order."""
    if block.order == order:
        return block
    parts = (block.main, block.details, block.gps, block.interop)
    return Block(order, *({tag: _turned(entry) for tag, entry in part.items()} for part in parts))


def _turned(entry: Entry) -> Entry:
    size = PARTS[entry.kind]
    pieces = (entry.data[at : at + size][::-1] for at in range(0, len(entry.data), size))
    return replace(entry, data=b"".join(pieces))


def _laid_out(block: Block, main: Directory, start: int, raw: Mapping[int, bytes] | None = None) -> bytes:
    """All directories of a block, the main one first, for a place `start` bytes into the file."""
    raw = raw or {}
    details, after = dict(block.details), start
    main = dict(main)
    pointed = [(main, EXIF, details), (main, GPS, block.gps), (details, INTEROP, block.interop)]
    for holder, tag, directory in reversed(pointed):  # from the inside out: a pointer makes its holder longer
        if directory:
            holder[tag] = block.long(0)
    after += _length(main, len(raw))
    for holder, tag, directory in pointed:
        if directory:
            holder[tag] = block.long(after)
            after += _length(directory)
    whole = _table(main, block.order, start, raw)
    for _, _, directory in pointed:
        if directory:
            whole += _table(directory, block.order, start + len(whole))
    return whole


def _length(directory: Directory, raw: int = 0) -> int:
    outside = sum(len(e.data) + len(e.data) % 2 for e in directory.values() if len(e.data) > 4)
    return 2 + 12 * (len(directory) + raw) + 4 + outside


def _table(directory: Directory, order: str, start: int, raw: Mapping[int, bytes] | None = None) -> bytes:
    """One directory and the values that do not fit into its entries; `raw` entries go in as they are."""
    rows = dict(raw or {})
    at = start + 2 + 12 * (len(directory) + len(rows)) + 4
    values = b""
    for tag, entry in directory.items():
        place = entry.data.ljust(4, b"\0")
        if len(entry.data) > 4:
            place = struct.pack(order + "I", at + len(values))
            values += entry.data + b"\0" * (len(entry.data) % 2)
        rows[tag] = struct.pack(order + "HHI", tag, entry.kind, entry.count) + place
    table = b"".join(rows[tag] for tag in sorted(rows))
    return struct.pack(order + "H", len(rows)) + table + bytes(4) + values
