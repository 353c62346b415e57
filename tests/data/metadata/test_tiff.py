"""Directories as raw entries: what is kept is kept byte for byte, in EXIF blocks and in TIFF files."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from protect.data.metadata.metadata import read_metadata
from protect.data.metadata.tiff import (
    ASCII,
    BYTE,
    EXIF,
    GPS,
    INTEROP,
    RATIONAL,
    SHORT,
    Block,
    Entry,
    add_to_tiff,
    in_order,
    read_block,
    read_tiff,
    write_block,
)  # fmt: skip

GREY = Image.fromarray(np.full((8, 10, 3), 128, np.uint8))
UNDEFINED_RATIONAL = struct.pack("<ii", -2, 0)


def full(order="<"):
    pack = lambda form, *values: struct.pack(order + form, *values)  # noqa: E731
    return Block(
        order,
        {0x8298: Entry(ASCII, "© José 摄影".encode() + b"\0"), 0x0112: Entry(SHORT, pack("H", 6))},
        {0x9204: Entry(10, pack("ii", -2, 0)), 0xA434: Entry(ASCII, b"50mm\0"), 0x9003: Entry(SHORT, pack("H", 1))},
        {2: Entry(RATIONAL, pack("6I", 48, 1, 8, 1, 0, 1))},
        {1: Entry(ASCII, b"R03\0")},
    )


@pytest.mark.parametrize("order", "<>")
def test_a_block_written_is_read_again_and_by_pillow(order):
    block = full(order)
    data = write_block(block)
    assert read_block(data) == read_block(b"Exif\0\0" + data) == block
    exif = Image.Exif()
    exif.load(data)
    assert exif[0x0112] == 6 and exif[0x8298].encode("latin-1") == block.main[0x8298].data[:-1]
    assert exif.get_ifd(EXIF)[0xA434] == "50mm" and exif.get_ifd(INTEROP)[1] == "R03"
    assert exif.get_ifd(GPS)[2] == (48.0, 8.0, 0.0)


def test_a_block_of_nothing_is_no_block():
    assert write_block(Block()) == b"" and read_block(b"") is None and read_block(b"Exif\0\0nonsense") is None
    assert read_block(b"Exif\0\0II*\0\xff\xff\xff\xff") == Block()


def test_numbers_of_all_types():
    block = Block("<", {n: Entry(kind, struct.pack("<" + form, *values)) for n, (kind, form, values) in enumerate([
        (1, "B", [3]), (3, "H", [3]), (4, "I", [3]), (5, "II", [3, 2]), (10, "ii", [-3, 2]), (11, "f", [0.5]),
        (5, "II", [3, 0]), (2, "s", [b"3"]), (7, "", []),
    ])})  # fmt: skip
    found = [block.number(block.main, tag) for tag in range(10)]
    assert found == [3.0, 3.0, 3.0, 1.5, -1.5, 0.5, None, None, None, None]


@pytest.mark.parametrize("cut", range(0, 150, 7))
def test_what_breaks_off_or_points_nowhere_is_left_out(cut):
    found = read_block(write_block(full())[: 6 + cut])
    assert found is None or set(found.main) <= {0x8298, 0x0112}
    hostile = bytearray(write_block(full()))
    hostile[6 + cut] = 0xFF
    read_block(bytes(hostile))


def test_a_directory_that_points_at_itself_ends():
    loop = b"II*\0" + struct.pack("<IHHHIII", 8, 1, EXIF, 4, 1, 8, 0)
    assert read_block(loop) is not None


@pytest.mark.parametrize("options", [{}, {"compression": "tiff_lzw"}])
@pytest.mark.parametrize("order", "<>")
def test_directories_in_a_tiff(options, order):
    buffer = io.BytesIO()
    GREY.save(buffer, "TIFF", tiffinfo={0x010F: "Canon"}, **options)
    block = full(order)
    block.main[0x0112] = block.short(1)
    data = add_to_tiff(buffer.getvalue(), block)
    image = TiffImagePlugin.TiffImageFile(io.BytesIO(data))
    image.load()
    assert np.array_equal(np.asarray(image), np.asarray(GREY)) and image.n_frames == 1
    exif = image.getexif()
    assert (exif[0x010F], exif.get_ifd(EXIF)[0xA434]) == ("Canon", "50mm")
    again = read_tiff(io.BytesIO(data), (0x8298, 0x0112, EXIF, GPS))
    assert again == in_order(block, again.order)
    assert read_metadata(image, io.BytesIO(data)).exif.details[0x9204].count == 1


def test_a_tag_of_the_file_gives_way_to_that_of_the_block():
    buffer = io.BytesIO()
    GREY.save(buffer, "TIFF", tiffinfo={0x8298: "old", 282: 10.0})
    new = Block("<", {0x8298: Entry(ASCII, b"new and longer\0"), 700: Entry(BYTE, b"<x/>")})
    image = TiffImagePlugin.TiffImageFile(io.BytesIO(add_to_tiff(buffer.getvalue(), new)))
    assert image.tag_v2[0x8298] == "new and longer" and image.tag_v2[282] == 10.0


def test_a_big_tiff_is_read():
    """BigTIFF: offsets of 8 bytes, entries of 20."""
    entries = struct.pack("<HHQ8s", 0x0112, 3, 1, b"\6") + struct.pack("<HHQQ", 0x8298, 2, 10, 80)
    data = b"II+\0" + struct.pack("<HHQQ", 8, 0, 16, 2) + entries + bytes(8)
    data = data.ljust(80, b"\0") + b"Ann & Bob\0"
    block = read_tiff(io.BytesIO(data))
    assert block.number(block.main, 0x0112) == 6 and block.main[0x8298].data == b"Ann & Bob\0"
    with pytest.raises(ValueError, match="expected a classic TIFF"):
        add_to_tiff(data, Block())
