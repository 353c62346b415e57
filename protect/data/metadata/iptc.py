"""IPTC-IIM records, and the Photoshop resource they lie in inside a JPEG."""

import struct
from collections.abc import Mapping

Field = tuple[int, int]  # record, dataset

CAPTIONS: tuple[Field, ...] = ((2, 120), (2, 105), (2, 5))  # caption, headline, title: in the order they count
RIGHTS: tuple[Field, ...] = ((2, 80), (2, 110), (2, 116))  # by-line, credit, copyright
LIMITS = {(2, 5): 64, (2, 105): 256, (2, 120): 2000, (2, 80): 32, (2, 110): 32, (2, 116): 128}  # bytes
UTF8 = b"\x1b%G"
RESOURCE = 0x0404


def text_of(value: object, utf8: bool) -> str:
    """A dataset as text; without the UTF-8 marker it may be UTF-8 nevertheless, else Latin-1."""
    data = value[0] if isinstance(value, list) and value else value
    if not isinstance(data, bytes):
        return ""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("utf-8" if utf8 else "latin-1", errors="replace")


def write_iptc(fields: Mapping[Field, str]) -> bytes:
    """The records in UTF-8; nothing for no fields. A text longer than its field is cut between characters."""
    if not fields:
        return b""
    records = [_dataset((1, 90), UTF8), _dataset((2, 0), b"\0\4")]
    for field, text in sorted(fields.items()):
        data = text.encode("utf-8", errors="replace")[: LIMITS[field]]
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
