"""What AVIF and HEIC files say of their colours and depth, and colours set in a written file."""

import io
import struct

import pytest
from PIL import Image

from protect.data.metadata.iso_boxes import Color, bit_depth_of, color_of, with_color

P3, PQ = Color(12, 13, 6), Color(9, 16, 6)


@pytest.fixture(scope="module")
def avif(photo_bytes):
    return photo_bytes("AVIF")


@pytest.mark.parametrize("color", [P3, PQ])
def test_colours_are_set_and_read(avif, color):
    assert color_of(avif) == Color(1, 13, 6) and color_of(avif).is_usual
    data = with_color(avif, color)
    assert color_of(data) == color and not color.is_usual
    assert len(data) == len(avif) and Image.open(io.BytesIO(data)).convert("RGB").size == (64, 48)


def test_depth_of_a_picture(avif):
    assert bit_depth_of(avif) == 8
    pixi = avif.index(b"pixi") + 4
    assert bit_depth_of(avif[: pixi + 5] + b"\x0a\x0a\x0a" + avif[pixi + 8 :]) == 10
    coded = avif.replace(b"pixi", b"free")
    at = coded.index(b"av1C") + 6
    for bits, depth in ((0x40, 10), (0x60, 12), (0x00, 8)):
        assert bit_depth_of(coded[:at] + bytes([coded[at] & 0x9F | bits]) + coded[at + 1 :]) == depth


def test_heic_says_its_colours(photo_bytes):
    pillow_heif = pytest.importorskip("pillow_heif")
    image = Image.open(io.BytesIO(photo_bytes("PNG")))
    buffer = io.BytesIO()
    pillow_heif.from_pillow(image).save(buffer, color_primaries=12, transfer_characteristics=13)
    found = color_of(buffer.getvalue())
    assert (found.primaries, found.transfer) == (12, 13) and bit_depth_of(buffer.getvalue()) == 8


@pytest.mark.parametrize("data", [b"", b"\0\0\0\x18ftypavif", b"\0\0\0\x08meta", b"\0\0\0\0meta\0\0\0\0\0\0\0\0pitm"])
def test_damage_says_nothing(data):
    assert color_of(data) is None and bit_depth_of(data) == 8 and with_color(data, P3) == data


def test_files_that_break_off_or_lie_about_lengths_say_nothing(avif):
    for cut in range(0, 400, 9):
        color_of(avif[:cut]), bit_depth_of(avif[:cut])
    for at in range(24, 400):
        hostile = bytearray(avif)
        hostile[at : at + 4] = struct.pack(">I", 0xFFFFFFF0)
        color_of(bytes(hostile)), bit_depth_of(bytes(hostile))
