"""What in the outer structure of a picture file still leads to the clean one: previews, histories, captions."""

import re
import struct
from collections.abc import Callable, Iterator

from protect.data.containers import _blocks
from protect.data.metadata.xmp import is_marked, read_xmp

Finding = tuple[str, str]  # kind, detail
Texts = Callable[[str], Iterator[Finding]]  # what is wrong with a text

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


def block_findings(data: bytes, in_text: Texts) -> Iterator[Finding]:
    """Findings in the blocks of a JPEG, PNG or WebP file; raises a ValueError where it is none or breaks off."""
    blocks = list(_blocks(data))
    ours = any(is_marked(body) for name, body in blocks if name in XMP_STARTS)
    for name, body in blocks:
        if name == "end":
            if body.strip(b"\0"):
                yield "extra picture", f"{len(body)} bytes behind the end of the picture"
            continue
        if name in XMP_STARTS and body.startswith(XMP_STARTS[name]) and not (ours and _is_plain(body)):
            yield "xmp", f"{name.strip()} block of {len(body)} bytes"
        texts = (*_packet_texts(body), *(text.decode(errors="replace") for text in body.split(b"\0")))
        for kind in dict.fromkeys(kind for text in texts for kind, _ in in_text(text)):
            yield kind, f"{name.strip()} block"
        if name in PICTURE_STARTS and body.startswith(PICTURE_STARTS[name]):
            yield "extra picture", f"{name} block of {len(body)} bytes"
        exif = body.startswith(b"Exif\0\0") or name in ("eXIf", "EXIF")
        if exif and _has_thumbnail(body.removeprefix(b"Exif\0\0")):
            yield "thumbnail", "EXIF IFD1"
        if name == "APP0" and (body.startswith(b"JFXX") or (body.startswith(b"JFIF") and any(body[12:14]))):
            yield "thumbnail", "JFIF"


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
