"""IPTC-IIM records, and the Photoshop resource they lie in inside a JPEG."""

import struct
from collections.abc import Mapping

from protect.data.metadata.exif import text_of

Field = tuple[int, int]  # record, dataset

CAPTIONS: tuple[Field, ...] = ((2, 120), (2, 105), (2, 5))  # caption, headline, title: in the order they count
RIGHTS: tuple[Field, ...] = (  # by-lines, their titles, credit, source, copyright, contact
    (2, 80), (2, 85), (2, 110), (2, 115), (2, 116), (2, 118),
)  # fmt: skip
DATES: tuple[Field, ...] = ((2, 55), (2, 60), (2, 62), (2, 63))
KEPT = (*RIGHTS, *DATES)
KEYWORDS: Field = (2, 25)
LIMITS = {(2, 5): 64, (2, 105): 256, (2, 120): 2000}  # bytes
LONGEST = 0x7FFF  # bytes a dataset can hold
UTF8 = b"\x1b%G"
RESOURCE = 0x0404


def texts_of(value: object) -> tuple[str, ...]:
    """The texts of a dataset, which may be there several times. Many are UTF-8 without the marker that says so."""
    values = value if isinstance(value, list) else [value]
    texts = (text_of(data).strip("\0 ") for data in values if isinstance(data, bytes))
    return tuple(text for text in texts if text)


def write_iptc(fields: Mapping[Field, tuple[str, ...]]) -> bytes:
    """The records in UTF-8; nothing for no fields. A caption longer than its field is cut between characters."""
    if not fields:
        return b""
    records = [_dataset((1, 90), UTF8), _dataset((2, 0), b"\0\4")]
    for field, texts in sorted(fields.items()):
        for text in texts:
            data = text.encode("utf-8", errors="replace")[: LIMITS.get(field, LONGEST)]
            records.append(_dataset(field, data.decode("utf-8", errors="ignore").encode()))
    return b"".join(records)


def _dataset(field: Field, data: bytes) -> bytes:
    return struct.pack(">BBBH", 0x1C, *field, len(data)) + data


def jpeg_segment(records: bytes) -> bytes:
    """The APP13 segment that holds them in a JPEG."""
    if not records:
        return b""
    body = b"Photoshop 3.0\0" + b"8BIM" + struct.pack(">HHI", RESOURCE, 0, len(records)) + records
    body += b"\0" * (len(records) % 2)
    return b"\xff\xed" + struct.pack(">H", len(body) + 2) + body
