"""Photo files of every kind: read, written again as the same kind."""

import io
import struct
from base64 import b64decode
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image, ImageCms

from protect.data.images import ImageError
from protect.data.metadata.iso_boxes import Color, color_of, with_color
from protect.data.metadata.metadata import new_metadata
from protect.data.metadata.tiff import ASCII, Block, Entry, add_to_tiff, read_block, write_block
from protect.data.photo_files import Still, Unsuited, decode_still, estimated_quality, read_still
from protect.data.photo_writer import encode_still
from protect.data.pictures import display, shown, view_of
from protect.publish.quality import ssim
from protect.settings.publish import PhotoSettings

HEIC = pytest.mark.skipif(find_spec("pillow_heif") is None, reason="pillow-heif is not installed (extra heic)")
MOST = 10_000_000
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
KINDS = [  # format, mode, save options
    ("JPEG", "RGB", {"quality": 88, "subsampling": 2}),
    ("JPEG", "RGB", {"quality": 97, "subsampling": 0, "progressive": True}),
    ("JPEG", "L", {"quality": 70}),
    ("JPEG", "CMYK", {"quality": 90}),
    ("PNG", "RGB", {}),
    ("PNG", "RGBA", {}),
    ("PNG", "LA", {}),
    ("PNG", "I;16", {}),
    ("TIFF", "RGB", {"compression": "tiff_lzw"}),
    ("TIFF", "RGB", {}),
    ("TIFF", "CMYK", {"compression": "tiff_adobe_deflate"}),
    ("TIFF", "I;16", {}),
    ("TIFF", "LA", {}),
    ("WEBP", "RGB", {"quality": 90}),
    ("WEBP", "RGB", {"lossless": True}),
    ("AVIF", "RGB", {"quality": 90}),
]


def read(data):
    return decode_still(io.BytesIO(data), MOST)


def again(still, image=None, quality=0):
    image = image or still.image
    new = new_metadata(still.metadata, "", image.size, PhotoSettings())
    return encode_still(still, image, new, quality)


@pytest.mark.parametrize(("kind", "mode", "options"), KINDS)
def test_a_file_is_written_as_its_own_kind(photo_bytes, kind, mode, options):
    still = read(photo_bytes(kind, mode, **options))
    data = again(still)
    result = read(data)
    assert (result.kind, result.image.mode, result.image.size) == (kind, mode, (64, 48))
    assert result.lossless == still.lossless == (kind in ("PNG", "TIFF") or "lossless" in options)
    assert result.options == still.options and result.metadata.marked
    if still.lossless:
        assert np.array_equal(np.asarray(result.image), np.asarray(still.image))
    else:
        assert ssim(display(result.image), display(still.image)) > 0.9
    assert again(still) == data


@HEIC
def test_heic_is_written_as_heic(photo_bytes):
    import pillow_heif

    buffer = io.BytesIO()
    clean = Image.open(io.BytesIO(photo_bytes("PNG")))
    pillow_heif.from_pillow(clean).save(buffer, quality=90)
    result = read(again(read(buffer.getvalue())))
    assert (result.kind, result.image.size, result.metadata.marked) == ("HEIF", (64, 48), True)
    assert ssim(display(result.image), np.asarray(clean)) > 0.8


RIGHTS = Entry(ASCII, "\u00a9 Jos\u00e9 \u6444\u5f71".encode() + b"\0")
WITH_EXIF = write_block(Block("<", {0x8298: RIGHTS, 0x013B: RIGHTS}, {0xA434: RIGHTS}))


def heic(image, **options):
    """A HEIC file."""
    import pillow_heif

    buffer = io.BytesIO()
    pillow_heif.from_pillow(image).save(buffer, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF", pytest.param("HEIF", marks=HEIC)])
def test_rights_in_any_script_stay_in_every_kind_of_file(photo_bytes, kind):
    if kind == "HEIF":
        data = heic(Image.open(io.BytesIO(photo_bytes("PNG"))), exif=WITH_EXIF)
    elif kind == "TIFF":
        data = add_to_tiff(photo_bytes("TIFF"), read_block(WITH_EXIF))
    else:
        data = photo_bytes(kind, exif=WITH_EXIF)
    found = read(again(read(data))).metadata.exif
    assert found.main[0x8298] == found.main[0x013B] == found.details[0xA434] == RIGHTS


def test_rights_in_an_avif_that_is_to_be_turned(photo_bytes):
    """Pillow keeps the turn in a box of its own, and gives the EXIF anew."""
    turned = write_block(Block("<", {0x8298: RIGHTS, 0x0112: Entry(3, b"\6\0")}))
    plain = photo_bytes("AVIF", exif=turned)
    still = read(plain)
    assert still.image.size == (48, 64) and read(again(still)).image.size == (48, 64)
    data = plain.replace(b"Jos?", "Jos\u00e9".encode()[:4])
    assert b"Copyright" not in data and read(data).metadata.exif.main.keys() == {0x8298}


@pytest.mark.parametrize("color", [Color(12, 13, 6), Color(9, 16, 6), Color(1, 13, 6)])
def test_colours_of_an_avif_stay_what_they_were(photo_bytes, color):
    still = read(with_color(photo_bytes("AVIF"), color))
    assert color_of(again(still)) == color
    assert any("HDR picture (PQ)" in note for note in still.notes) == (color.transfer == 16)


DEEP = b64decode(  # 16 x 16 pixels of 10 bits, BT.2020 and PQ, made by libavif's avifenc
    b"AAAAIGZ0eXBhdmlmAAAAAGF2aWZtaWYxbWlhZk1BMUEAAADybWV0YQAAAAAAAAAoaGRscgAAAAAAAAAAcGljdAAAAAAAAAAAAAAA"
    b"AGxpYmF2aWYAAAAADnBpdG0AAAAAAAEAAAAeaWxvYwAAAABEAAABAAEAAAABAAABGgAAAB0AAAAoaWluZgAAAAAAAQAAABppbmZl"
    b"AgAAAAABAABhdjAxQ29sb3IAAAAAamlwcnAAAABLaXBjbwAAABRpc3BlAAAAAAAAABAAAAAQAAAAEHBpeGkAAAAAAwoKCgAAAAxh"
    b"djFDgSBAAAAAABNjb2xybmNseAAJABAACYAAAAAXaXBtYQAAAAAAAAABAAEEAQKDBAAAACVtZGF0EgAKCDgM/9jCRAJkMg8aABhh"
    b"hgQAAKmOizKMIqA="
)


def test_deep_avif_is_written_with_eight_bits_and_it_is_said():
    still = read(DEEP)
    assert still.notes[:2] == ["10-bit colour written with 8 bits", "HDR picture (PQ): bands may show"]
    found = color_of(again(still))
    assert (found.primaries, found.transfer) == (9, 16) == (color_of(DEEP).primaries, color_of(DEEP).transfer)


@HEIC
@pytest.mark.parametrize(("primaries", "transfer"), [(12, 13), (9, 16), (9, 18)])
def test_colours_of_a_heic_stay_what_they_were(photo_bytes, primaries, transfer):
    image = Image.open(io.BytesIO(photo_bytes("PNG")))
    data = heic(image, color_primaries=primaries, transfer_characteristics=transfer, quality=95)
    still = read(data)
    found = color_of(again(still))
    assert (found.primaries, found.transfer) == (primaries, transfer)
    assert ssim(display(read(again(still)).image), display(still.image)) > 0.9


@HEIC
def test_a_heic_that_cannot_be_written_again_is_refused_before_it_is_decoded(photo_bytes):
    tile = heic(Image.open(io.BytesIO(photo_bytes("PNG", size=(512, 512)))), quality=30)
    with pytest.raises(ImageError, match=r"at most 142,606,336 pixels, found 16384x12288; save it as JPEG"):
        decode_still(io.BytesIO(heic_grid(tile, 32, 24)), 400_000_000)
    assert read(heic_grid(tile, 2, 2)).image.size == (1024, 1024)


def heic_grid(tile, columns, rows):
    """A HEIC of 512 x 512 tiles, as phones write it; every tile is the same coded picture."""

    def box(name, body, version=None):
        body = body if version is None else struct.pack(">I", version) + body
        return struct.pack(">I4s", 8 + len(body), name) + body

    def cut(name):
        at = tile.index(name) - 4
        return tile[at : at + struct.unpack_from(">I", tile, at)[0]]

    coded, count = cut(b"mdat")[8:], columns * rows
    size = struct.pack(">II", columns * 512, rows * 512)
    grid = bytes((0, 1, rows - 1, columns - 1)) + size
    items = range(1, count + 2)
    infos = [box(b"infe", struct.pack(">HH4sx", n, 0, b"grid" if n == 1 else b"hvc1"), 2 << 24) for n in items]
    tiles = struct.pack(f">HH{count}H", 1, count, *range(2, count + 2))
    properties = cut(b"hvcC") + box(b"ispe", struct.pack(">II", 512, 512), 0) + box(b"ispe", size, 0)
    uses = struct.pack(">IHBB", count + 1, 1, 1, 3) + b"".join(struct.pack(">HBBB", n, 2, 0x81, 2) for n in items[1:])

    def meta(start):
        places = [(1, 0, 1, start, len(grid)), *((n, 0, 1, start + len(grid), len(coded)) for n in items[1:])]
        located = struct.pack(">BBH", 0x44, 0, count + 1) + b"".join(
            struct.pack(">HHHII", *place) for place in places
        )
        return box(b"meta", b"".join((
            box(b"hdlr", struct.pack(">I4s13x", 0, b"pict"), 0), box(b"pitm", struct.pack(">H", 1), 0),
            box(b"iloc", located, 0), box(b"iinf", struct.pack(">H", count + 1) + b"".join(infos), 0),
            box(b"iref", box(b"dimg", tiles), 0),
            box(b"iprp", box(b"ipco", properties) + box(b"ipma", uses, 0)),
        )), 0)  # fmt: skip

    head = box(b"ftyp", b"heic\0\0\0\0mif1heic")
    return head + meta(len(head) + len(meta(0)) + 8) + box(b"mdat", grid + coded)


def test_heic_without_its_extra_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    with pytest.raises(ImportError, match=r"HEIC and HEIF: expected pillow-heif.*pip install"):
        read(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_orientation_is_baked_in(photo_bytes, kind, orientation):
    clean = Image.open(io.BytesIO(photo_bytes("PNG")))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}.get(kind, {})
    buffer = io.BytesIO()
    clean.save(buffer, kind, exif=exif, **options)
    still = read(buffer.getvalue())
    result = read(again(still))
    assert still.image.size == result.image.size == ((48, 64) if orientation > 4 else (64, 48))
    assert result.metadata.orientation == 1
    turned = np.asarray(clean)
    if orientation in (5, 6, 7, 8):
        turned = turned.transpose(1, 0, 2)
    down, across = {1: (1, 1), 2: (1, -1), 3: (-1, -1), 4: (-1, 1), 5: (1, 1), 6: (1, -1), 7: (-1, -1), 8: (-1, 1)}[
        orientation
    ]
    assert np.abs(np.asarray(result.image).astype(int) - turned[::down, ::across]).mean() < 4


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
def test_a_colour_profile_is_kept(photo_bytes, kind):
    assert read(again(read(photo_bytes(kind, icc_profile=SRGB)))).icc == SRGB


def test_a_profile_of_another_colour_space_is_dropped_and_said(photo_bytes):
    still = read(photo_bytes("PNG", "L", icc_profile=SRGB))
    assert still.icc is None and still.notes == ["RGB colour profile dropped"]


@pytest.mark.parametrize(
    ("mode", "note"), [("P", "palette picture written as RGB"), ("1", "1-bit picture written as L")]
)
def test_modes_that_noise_does_not_fit_in(photo_bytes, mode, note):
    still = read(photo_bytes("PNG", mode))
    assert still.notes == [note] and still.image.mode in ("RGB", "L")


def test_an_opaque_alpha_of_webp_is_dropped_and_said_another_kept(photo_bytes):
    assert read(photo_bytes("WEBP", "RGBA", lossless=True)).notes == []  # dropped by whoever wrote it
    image = Image.new("RGBA", (16, 16), (9, 9, 9, 255))
    image.putpixel((0, 0), (9, 9, 9, 254))
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=True)
    still = read(buffer.getvalue())
    assert read(again(still)).image.getpixel((0, 0)) == (9, 9, 9, 254)
    opaque = Still("WEBP", image.convert("RGB"), still.metadata, None, None, True)
    assert read(again(opaque)).image.mode == "RGB"


def test_sixteen_bits_of_colour_become_eight_and_it_is_said():
    rows = b"".join(b"\0" + bytes(range(48)) for _ in range(8))
    import struct
    import zlib

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", 8, 8, 16, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    assert read(data).notes == ["16-bit colour written with 8 bits"]


def test_the_photos_own_quality_is_kept_unless_one_is_given(photo_bytes):
    still = read(photo_bytes("JPEG", quality=83, subsampling=1))
    assert read(again(still)).options["qtables"] == still.options["qtables"]
    assert read(again(still)).options["subsampling"] == 1
    tables = read(again(still, quality=40)).options["qtables"]
    assert tables == read(photo_bytes("JPEG", quality=40)).options["qtables"]


@pytest.mark.parametrize("quality", [25, 49, 50, 75, 88, 95, 100])
def test_quality_is_told_from_the_tables(photo_bytes, quality):
    tables = Image.open(io.BytesIO(photo_bytes("JPEG", quality=quality))).quantization
    assert abs(estimated_quality([list(tables[0])]) - quality) <= 1


def test_loud_progressive_jpegs_are_written():
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "JPEG", quality=100, subsampling=0)
    still = read(buffer.getvalue())
    still.options["progressive"] = True
    assert read(again(still)).options["progressive"]


def test_kinds_that_are_left_alone(photo_bytes):
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    for kind, message in (("WEBP", "animated, 2 frames"), ("PNG", "animated"), ("TIFF", "a TIFF of 2 pages")):
        buffer = io.BytesIO()
        frames[0].save(buffer, kind, save_all=True, append_images=frames[1:])
        with pytest.raises(Unsuited, match=message):
            read(buffer.getvalue())
    buffer = io.BytesIO()
    frames[0].save(buffer, "TIFF", tiffinfo={50706: b"\1\4\0\0"})
    with pytest.raises(Unsuited, match="RAW"):
        read(buffer.getvalue())


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
def test_damage_is_one_error(photo_bytes, kind):
    data = photo_bytes(kind, **({"compression": "tiff_lzw"} if kind == "TIFF" else {}))
    for cut in (20, len(data) // 2):
        with pytest.raises(ImageError):
            read(data[:cut])
    with pytest.raises(ImageError, match="at most 100 pixels"):
        decode_still(io.BytesIO(data), 100)
    with pytest.raises(ImageError, match="expected a picture"):
        read(b"<html>")


def test_read_from_a_file(tmp_path, photo_bytes):
    (tmp_path / "a.jpg").write_bytes(photo_bytes())
    assert isinstance(read_still(tmp_path / "a.jpg", MOST), Still)
    with pytest.raises(FileNotFoundError):
        read_still(tmp_path / "b.jpg", MOST)


def test_sixteen_bit_grey_is_seen_as_grey():
    deep = Image.fromarray((np.arange(64 * 64, dtype=np.uint16) * 15).reshape(64, 64))
    assert np.abs(np.asarray(shown(deep))[..., 0] - np.asarray(deep) / 257).max() <= 0.51
    assert view_of(deep, 32).shape == (3, 32, 32) and display(deep).shape == (64, 64, 3)
