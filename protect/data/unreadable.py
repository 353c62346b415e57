"""Sound pictures that cannot be read all the same: what they are, and what to save them as."""

import math
import struct
from io import BufferedIOBase

from protect.data.metadata.tiff import read_tiff

BITS, COMPRESSION, COLORS, SAMPLE_FORMAT = 258, 259, 262, 339
FLOATS, COMPLEX = (3,), (5, 6)
COMPRESSIONS = {1: "none", 5: "LZW", 6: "old JPEG", 7: "JPEG", 8: "Deflate", 32773: "PackBits", 32946: "Deflate"} | {
    2: "CCITT", 3: "CCITT", 4: "CCITT", 34661: "JBIG", 34676: "SGI LogL", 34677: "SGI LogLuv", 34712: "JPEG 2000",
    34887: "LERC", 34925: "LZMA", 50000: "Zstandard", 50001: "WebP", 50002: "JPEG XL",
}  # fmt: skip
READ = (1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946)
COLOR_NAMES = {8: "CIE Lab", 9: "ICC Lab", 10: "ITU Lab", 32803: "sensor data", 32844: "LogL", 32845: "LogLuv"}
JPEG_FORMS = {0xC3: "without loss", 0xC9: "in arithmetic coding", 0xCA: "in arithmetic coding", 0xF7: "JPEG-LS"}
STANDALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length


def why_not(kind: str, file: BufferedIOBase) -> str:
    """Why a file of this kind that its reader refused is no damaged one; "" where it may be damage."""
    try:
        what = {"TIFF": _tiff, "JPEG": _jpeg}.get(kind, lambda file: "")(file)
    except (OSError, ValueError, struct.error):
        return ""
    return what and f"{what} cannot be read: save it as a {kind} with 8 bits a channel" + ", RGB" * (kind == "TIFF")


def _tiff(file: BufferedIOBase) -> str:
    block = read_tiff(file, (BITS, COMPRESSION, COLORS, SAMPLE_FORMAT))
    if block is None:
        return ""
    numbers = {tag: block.number(block.main, tag) for tag in (BITS, COMPRESSION, COLORS, SAMPLE_FORMAT)}
    if numbers[BITS] is None or not all(math.isfinite(number or 0) for number in numbers.values()):
        return ""
    bits = f"{numbers[BITS]:g} bits a channel"
    if numbers[SAMPLE_FORMAT] in FLOATS:
        return f"a TIFF of floating point numbers, {bits},"
    if numbers[SAMPLE_FORMAT] in COMPLEX:
        return f"a TIFF of complex numbers, {bits},"
    if numbers[BITS] not in (1, 2, 4, 8, 16):
        return f"a TIFF of {bits}"
    if numbers[COLORS] in COLOR_NAMES:
        return f"a TIFF in {COLOR_NAMES[int(numbers[COLORS] or 0)]}"
    if numbers[COMPRESSION] not in READ:
        name = COMPRESSIONS.get(int(numbers[COMPRESSION] or 0), f"method {numbers[COMPRESSION]:g}")
        return f"a TIFF compressed by {name}"
    return ""


def _jpeg(file: BufferedIOBase) -> str:
    """By the head of its frame: its coding, bits and channels."""
    file.seek(2)
    while len(head := file.read(2)) == 2 and head[0] == 0xFF:
        if head[1] in STANDALONE or head[1] == 0xFF:
            file.seek(-1 if head[1] == 0xFF else 0, 1)
            continue
        (length,) = struct.unpack(">H", file.read(2))
        if head[1] in (*range(0xC0, 0xD0), 0xF7) and head[1] not in (0xC4, 0xC8, 0xCC):
            bits, _, _, channels = struct.unpack(">BHHB", file.read(6))
            if head[1] in JPEG_FORMS:
                return f"a JPEG {JPEG_FORMS[head[1]]}"
            if bits != 8:
                return f"a JPEG of {bits} bits a channel"
            return f"a JPEG of {channels} channels" if channels not in (1, 3, 4) else ""
        file.seek(length - 2, 1)
    return ""
