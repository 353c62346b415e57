"""Photo files of every kind: read, written again as the same kind."""

import io
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image, ImageCms

from protect.data.images import ImageError
from protect.data.metadata.metadata import new_metadata
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


def test_heic_without_its_extra_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    with pytest.raises(ImportError, match=r"pip install 'protect-pairs\[heic\]'"):
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
