"""The blocks of a JPEG, PNG or WebP file, walked without decoding a pixel."""

import re
import struct
import zlib
from collections.abc import Iterator

PNG_COLOR = {b"cHRM": 32, b"cICP": 4, b"gAMA": 4, b"sRGB": 1}  # chunks that say how pixels are meant: their bytes
ENTROPY_END = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # the marker that ends a JPEG scan


def png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The colour chunks of a PNG; one of another length says nothing, and could carry anything."""
    at, name = 8, b""
    while at + 8 <= len(data) and name != b"IDAT":
        length, name = struct.unpack_from(">I4s", data, at)
        if PNG_COLOR.get(name) == length:
            yield name, data[at + 8 : at + 8 + length]
        at += 12 + length


def webp_size(data: bytes) -> tuple[int, int]:
    """The canvas of a WebP file; (1, 1) for a header that its decoder refuses anyway."""
    if len(data) >= 30 and data[12:16] == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if len(data) >= 25 and data[12:16] == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if len(data) >= 30 and data[12:16] == b"VP8 ":
        return (data[26] | data[27] << 8) & 0x3FFF, (data[28] | data[29] << 8) & 0x3FFF
    return 1, 1


def webp_lossless(data: bytes) -> bool:
    at = 12
    while at + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, at)
        if name == b"VP8L" or (name == b"ANMF" and data[at + 24 : at + 28] == b"VP8L"):
            return True
        at += 8 + length + length % 2
    return False


class _Damage(ValueError):
    """Why a picture cannot be read."""


def _blocks(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Name and content of each block that is not coded pixels, then ("end", whatever follows the picture)."""
    try:
        if data.startswith(b"\xff\xd8"):
            yield from _jpeg_blocks(data)
        elif data.startswith(b"\x89PNG\r\n\x1a\n"):
            yield from _png_blocks(data)
        elif data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            yield from _webp_blocks(data)
        else:
            raise _Damage(f"expected a JPEG, PNG or WebP picture, found bytes {data[:4].hex() or 'none'}")
    except (struct.error, IndexError) as error:
        raise _Damage("expected a whole picture, found that it breaks off") from error


def _jpeg_blocks(data: bytes) -> Iterator[tuple[str, bytes]]:
    at = 2
    while True:
        if data[at] != 0xFF:
            raise _Damage(f"expected a JPEG marker at byte {at}, found {data[at]:#04x}")
        marker = data[at + 1]
        if marker == 0xD9:
            yield "end", data[at + 2 :]
            return
        if marker == 0xFF or marker == 0x01 or 0xD0 <= marker <= 0xD7:  # fill byte, or no content
            at += 1 if marker == 0xFF else 2
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        body, at = data[at + 4 : at + 2 + length], at + 2 + length
        if 0xE0 <= marker <= 0xEF or marker == 0xFE:
            yield "COM" if marker == 0xFE else f"APP{marker - 0xE0}", body
        if marker == 0xDA:
            marker_at = ENTROPY_END.search(data, at)
            at = marker_at.start() if marker_at else len(data)


def _png_blocks(data: bytes) -> Iterator[tuple[str, bytes]]:
    at, name = 8, ""
    while name != "IEND":
        length, tag = struct.unpack_from(">I4s", data, at)
        body, name = data[at + 8 : at + 8 + length], tag.decode("latin-1")
        (checksum,) = struct.unpack_from(">I", data, at + 8 + length)
        if checksum != zlib.crc32(tag + body):
            raise _Damage(f"expected the checksum of PNG chunk {name!r} to fit, found that it does not")
        at += 12 + length
        if name not in ("IDAT", "IEND"):
            yield name, body
    yield "end", data[at:]


def _webp_blocks(data: bytes) -> Iterator[tuple[str, bytes]]:
    (size,) = struct.unpack_from("<I", data, 4)
    at, end = 12, 8 + size
    if end > len(data):
        raise _Damage(f"expected {end} bytes of WebP, found {len(data)}")
    while at < end:
        tag, length = struct.unpack_from("<4sI", data, at)
        if tag not in (b"VP8 ", b"VP8L", b"ALPH", b"ANMF"):
            yield tag.decode("latin-1"), data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2
    yield "end", data[end:]
