"""Sound pictures that cannot be read: what is said of them, and that damage is not called by such names."""

import io
import struct

import pytest

from protect.data.metadata.tiff import ASCII, Block, Entry, write_block
from protect.data.unreadable import why_not


def tiff(**numbers):
    tags = {"bits": 258, "compression": 259, "colors": 262, "format": 339}
    block = Block("<", {tags[name]: Entry(3, struct.pack("<H", value)) for name, value in numbers.items()})
    return io.BytesIO(write_block(block)[6:])


def jpeg(marker, bits=8, channels=3):
    return io.BytesIO(
        b"\xff\xd8\xff\xe0\0\4ab\xff" + bytes([marker]) + struct.pack(">HBHHB", 8, bits, 9, 9, channels)
    )


@pytest.mark.parametrize(
    ("kind", "file", "what"),
    [
        (
            "TIFF",
            tiff(bits=32, format=3),
            "a TIFF of floating point numbers, 32 bits a channel, cannot be read: save it",
        ),
        ("TIFF", tiff(bits=32, format=1), "a TIFF of 32 bits a channel cannot be read"),
        ("TIFF", tiff(bits=64, format=6), "a TIFF of complex numbers"),
        ("TIFF", tiff(bits=8, colors=8), "a TIFF in CIE Lab"),
        ("TIFF", tiff(bits=8, colors=2, compression=50002), "a TIFF compressed by JPEG XL"),
        ("TIFF", tiff(bits=8, colors=2, compression=4711), "a TIFF compressed by method 4711"),
        ("JPEG", jpeg(0xC1, bits=12), "a JPEG of 12 bits a channel cannot be read: save it as a JPEG with 8 bits"),
        ("JPEG", jpeg(0xC3), "a JPEG without loss"),
        ("JPEG", jpeg(0xC9), "a JPEG in arithmetic coding"),
        ("JPEG", jpeg(0xC0, channels=2), "a JPEG of 2 channels"),
    ],
)
def test_a_sound_picture_is_not_called_damaged(kind, file, what):
    assert why_not(kind, file).startswith(what)


@pytest.mark.parametrize(
    ("kind", "file"),
    [
        ("TIFF", tiff(bits=8, colors=2, compression=5)),
        ("TIFF", tiff()),
        ("TIFF", io.BytesIO(b"II*\0")),
        ("TIFF", io.BytesIO(write_block(Block("<", {258: Entry(ASCII, b"8\0")}))[6:])),
        ("TIFF", io.BytesIO(write_block(Block("<", {258: Entry(11, struct.pack("<f", float("inf")))}))[6:])),
        ("JPEG", jpeg(0xC0)),
        ("JPEG", io.BytesIO(b"\xff\xd8\xff")),
        ("JPEG", io.BytesIO(b"\xff\xd8" + b"\xff" * 50)),
        ("PNG", io.BytesIO(b"")),
    ],
)
def test_damage_is_left_to_be_called_damage(kind, file):
    assert why_not(kind, file) == ""
