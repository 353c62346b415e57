"""Further directories (EXIF, GPS) put into a written TIFF: the encoder for compressed ones cannot."""

import struct
from collections.abc import Mapping
from typing import Any

from PIL import TiffImagePlugin

LONG = 4


def add_directories(data: bytes, directories: Mapping[int, Mapping[int, Any]]) -> bytes:
    """The file (one page, below 4 GB) with each directory that is not empty, by the tag that points to it.

    They are appended, and the main directory after them, with their tags in it.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None:
        raise ValueError(f"expected a classic TIFF, found bytes {data[:4].hex()}; write it without directories")
    (start,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, start)
    entries = {data[at : at + 2]: data[at : at + 12] for at in range(start + 2, start + 2 + 12 * count, 12)}
    whole = bytearray(data)
    for tag, values in directories.items():
        if values:
            whole += b"\0" * (len(whole) % 2)
            entries[struct.pack(order + "H", tag)] = struct.pack(order + "HHII", tag, LONG, 1, len(whole))
            whole += _directory(values, order, len(whole))
    whole += b"\0" * (len(whole) % 2)
    struct.pack_into(order + "I", whole, 4, len(whole))
    ordered = sorted(entries.items(), key=lambda item: struct.unpack(order + "H", item[0]))
    whole += struct.pack(order + "H", len(entries)) + b"".join(entry for _, entry in ordered) + bytes(4)
    return bytes(whole)


def _directory(values: Mapping[int, Any], order: str, offset: int) -> bytes:
    head = b"II*\0\0\0\0\0" if order == "<" else b"MM\0*\0\0\0\0"
    directory = TiffImagePlugin.ImageFileDirectory_v2(ifh=head)
    for tag, value in values.items():
        directory[tag] = value
    return directory.tobytes(offset)
