"""Files of every kind: decoded as a scraper does, refused when they should be, written as the same kind."""

import io
import struct
import threading
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageFile, PngImagePlugin

from protect.data.images import ImageError, decode, encode, to_view
from protect.settings.publish import PublishSettings

MANY = 10**6
SETTINGS = PublishSettings()


def picture(mode: str = "RGB", width: int = 40, height: int = 30) -> Image.Image:
    channels = {"L": (), "LA": (2,), "RGB": (3,), "RGBA": (4,), "CMYK": (4,)}[mode]
    small = np.random.default_rng(0).integers(0, 256, (5, 6, *channels), dtype=np.uint8)
    return Image.fromarray(small, mode=None if mode != "CMYK" else "CMYK").resize((width, height))


def saved(image: Image.Image, format: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width: int, height: int, depth: int, kind: int, rows: bytes, *chunks: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )


def palette(**options) -> bytes:
    return saved(picture().quantize(20), "PNG", **options)


def deep_png(**options) -> bytes:
    values = np.random.default_rng(0).integers(0, 65536, (30, 40), dtype=np.uint16)
    return saved(Image.fromarray(values), "PNG", **options)


def deep_colour() -> bytes:
    values = np.random.default_rng(0).integers(0, 65536, (30, 1 + 40 * 3)).astype(">u2")
    return png(40, 30, 16, 2, b"".join(b"\0" + row[1:].tobytes() for row in values))


# name: bytes, then Pillow's mode, the mode written, and a word of each note
KINDS = {
    "jpeg": (saved(picture(), "JPEG"), "RGB", "RGB", ()),
    "jpeg progressive": (saved(picture(), "JPEG", progressive=True), "RGB", "RGB", ()),
    "jpeg grey": (saved(picture("L"), "JPEG"), "L", "L", ()),
    "jpeg cmyk": (saved(picture("CMYK"), "JPEG"), "CMYK", "RGB", ("CMYK",)),
    "jpeg 1x1": (saved(picture("RGB", 1, 1), "JPEG"), "RGB", "RGB", ()),
    "png": (saved(picture(), "PNG"), "RGB", "RGB", ()),
    "png 1x1": (saved(picture("RGB", 1, 1), "PNG"), "RGB", "RGB", ()),
    "png grey": (saved(picture("L"), "PNG"), "L", "L", ()),
    "png 1-bit": (saved(picture("L").convert("1"), "PNG"), "1", "RGB", ("1-bit",)),
    "png palette": (palette(), "P", "RGB", ("palette",)),
    "png palette index": (palette(transparency=3), "P", "RGBA", ("palette",)),
    "png palette alphas": (palette(transparency=bytes(range(20))), "P", "RGBA", ("palette",)),
    "png LA": (saved(picture("LA"), "PNG"), "LA", "LA", ()),
    "png RGBA": (saved(picture("RGBA"), "PNG"), "RGBA", "RGBA", ()),
    "png grey key": (saved(picture("L"), "PNG", transparency=7), "L", "LA", ("transparent colour",)),
    "png colour key": (
        saved(picture(), "PNG", transparency=(1, 2, 3)),
        "RGB",
        "RGBA",
        ("transparent colour",),
    ),
    "png 16-bit grey": (deep_png(), "I;16", "I;16", ()),
    "png 16-bit grey key": (deep_png(transparency=9), "I;16", "I;16", ("dropped",)),
    "png 16-bit colour": (deep_colour(), "RGB", "RGB", ("16-bit",)),
    "webp": (saved(picture(), "WEBP", quality=80), "RGB", "RGB", ()),
    "webp RGBA": (saved(picture("RGBA"), "WEBP", quality=80), "RGBA", "RGBA", ()),
    "webp lossless": (saved(picture(), "WEBP", lossless=True), "RGB", "RGB", ()),
    "webp lossless RGBA": (saved(picture("RGBA"), "WEBP", lossless=True, exact=True), "RGBA", "RGBA", ()),
}
kinds = pytest.mark.parametrize("name", KINDS)


@kinds
def test_decode_sees_what_a_scraper_sees(name):
    data, mode, written, notes = KINDS[name]
    photo = decode(data, MANY)
    with Image.open(io.BytesIO(data)) as image:
        assert (photo.kind, photo.mode, photo.size) == (image.format, image.mode, image.size)
        if written != "I;16":
            middle = "RGBA" if isinstance(image.info.get("transparency"), bytes) else "RGB"
            np.testing.assert_array_equal(photo.color, np.asarray(image.convert(middle).convert("RGB")))
        else:
            np.testing.assert_array_equal(np.asarray(photo.image), np.asarray(image))
            assert np.abs(photo.color[..., 1] - np.asarray(image) / 257).max() <= 0.5
    assert (photo.mode, photo.image.mode) == (mode, written)
    assert len(photo.notes) == len(notes) and all(w in n for w, n in zip(notes, photo.notes, strict=True))
    assert photo.color.dtype == np.uint8 and photo.color.shape == (photo.size[1], photo.size[0], 3)


@kinds
def test_the_same_kind_of_file_is_written(name):
    photo = decode(KINDS[name][0], MANY)
    data = encode(photo, photo.image, SETTINGS)
    again = decode(data, MANY)
    assert (again.kind, again.mode, again.size) == (photo.kind, photo.image.mode, photo.size)
    assert (again.lossless, again.progressive) == (photo.lossless, photo.progressive)
    assert data == encode(photo, photo.image, SETTINGS)
    if photo.image.mode in ("LA", "RGBA"):
        np.testing.assert_array_equal(again.image.getchannel("A"), photo.image.getchannel("A"))
    if photo.lossless:
        np.testing.assert_array_equal(np.asarray(again.image), np.asarray(photo.image))
    else:
        assert np.abs(again.color.astype(int) - photo.color).mean() < 8


def test_lossless_webp_is_told_from_lossy():
    assert decode(KINDS["webp lossless"][0], MANY).lossless
    assert decode(KINDS["webp lossless RGBA"][0], MANY).lossless
    assert not decode(KINDS["webp"][0], MANY).lossless
    assert not decode(KINDS["webp RGBA"][0], MANY).lossless
    with_profile = saved(picture(), "WEBP", lossless=True, icc_profile=b"x" * 201)
    assert decode(with_profile, MANY).lossless


def test_opaque_alpha_of_a_webp_is_noted():
    opaque = bytearray(saved(picture(), "WEBP", lossless=True))
    opaque[24] |= 0x10  # the header's alpha flag, without any alpha
    photo = decode(bytes(opaque), MANY)
    assert (photo.mode, photo.image.mode) == ("RGBA", "RGB")
    assert photo.notes == ("opaque alpha channel dropped",)


@pytest.mark.parametrize(("sampling", "number"), [("4:4:4", 0), ("4:2:2", 1), ("4:2:0", 2)])
def test_jpeg_sampling(sampling, number):
    photo = decode(saved(picture(), "JPEG", subsampling=sampling), MANY)
    assert photo.sampling == number
    assert decode(encode(photo, photo.image, PublishSettings(jpeg_sampling="keep")), MANY).sampling == number
    assert decode(encode(photo, photo.image, PublishSettings(jpeg_sampling="444")), MANY).sampling == 0


def test_jpeg_quality_is_obeyed():
    photo = decode(KINDS["jpeg"][0], MANY)
    sizes = [len(encode(photo, photo.image, PublishSettings(jpeg_quality=q))) for q in (20, 60, 95, 100)]
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize("quality", [95, 100])
def test_loud_progressive_jpeg_is_written(quality, capfd):
    photo = decode(saved(picture("RGB", 300, 300), "JPEG", progressive=True), MANY)
    loud = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    before = ImageFile.MAXBLOCK
    again = decode(encode(photo, Image.fromarray(loud), PublishSettings(jpeg_quality=quality)), MANY)
    assert again.progressive and before == ImageFile.MAXBLOCK
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_colour_profile_resolution_and_orientation_are_kept(format):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = decode(saved(picture(), format, icc_profile=profile, exif=exif, dpi=(300, 300)), MANY)
    with Image.open(io.BytesIO(encode(photo, photo.image, SETTINGS))) as image:
        assert image.info["icc_profile"] == profile
        assert dict(image.getexif()) == {0x0112: 6}
        if format != "WEBP":
            assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_everything_else_is_dropped(format):
    exif = Image.Exif()
    exif[0x0112], exif[0x010E], exif[0x010F] = 3, "SECRET-TITLE", "SECRET-MAKER"
    tiff = exif.tobytes() + b"SECRET-THUMBNAIL" + saved(picture("RGB", 16, 12), "JPEG")
    info = {"exif": tiff, "xmp": b"<x:xmpmeta>SECRET-XMP</x:xmpmeta>", "comment": b"SECRET-COMMENT"}
    if format == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_text("Description", "SECRET-TEXT")
        text.add(b"prVt", b"SECRET-PRIVATE", True)
        info = {"exif": tiff, "pnginfo": text}
    data = saved(picture(), format, **info) + b"SECRET-TAIL"
    assert data.count(b"SECRET") >= 4
    photo = decode(data, MANY)
    published = encode(photo, photo.image, SETTINGS)
    assert b"SECRET" not in published and len(published) < len(data)
    with Image.open(io.BytesIO(published)) as image:
        assert dict(image.getexif()) == {0x0112: 3}
        assert not {"comment", "xmp", "photoshop", "mp"} & set(image.info)


def test_orientation_in_xmp_only_is_kept():
    photo = decode(saved(picture(), "JPEG", xmp=b'<x tiff:Orientation="8"/>'), MANY)
    assert photo.orientation == 8


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0II*\0\x08\0\0\0\xff\xff", b"Exif\0\0", b"x"]
)
def test_damaged_exif_is_ignored_without_a_warning(exif):
    data = saved(picture(), "JPEG", exif=exif)
    data = data[:2] + data[data.index(b"\xff\xe1") :]  # no JFIF header: Pillow would look for dpi in EXIF
    photo = decode(data, MANY)
    assert (photo.orientation, photo.dpi) == (1, None)


def test_png_colour_chunks_are_kept():
    gamma = chunk(b"gAMA", struct.pack(">I", 100000))
    data = png(2, 1, 8, 2, b"\0" + bytes(6), gamma, chunk(b"tEXt", b"Title\0SECRET"))
    photo = decode(data, MANY)
    assert gamma in encode(photo, photo.image, SETTINGS)


@pytest.mark.parametrize("space", [b"CMYK", b"GRAY"])
def test_profile_of_another_colour_space_is_dropped(space):
    source = picture("CMYK") if space == b"CMYK" else picture("L").convert("1")
    format = "JPEG" if space == b"CMYK" else "PNG"
    photo = decode(saved(source, format, icc_profile=bytes(16) + space + bytes(200)), MANY)
    assert photo.icc is None and f"{space.decode()} colour profile dropped" in photo.notes


def test_further_pictures_of_a_jpeg_are_dropped():
    photo = decode(saved(picture(), "MPO", save_all=True, append_images=[picture("RGB", 20, 20)]), MANY)
    assert photo.kind == "JPEG" and photo.notes == ("further pictures in the file (MPF) dropped",)
    assert len(encode(photo, photo.image, SETTINGS)) > 0


def refusal(data: bytes, max_pixels: int = MANY) -> ImageError:
    with pytest.raises(ImageError) as caught:
        decode(data, max_pixels)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("expected ") and "found " in str(caught.value) and ";" in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    "bomb",
    [
        png(50_000, 50_000, 8, 2, b"\0" * 100),
        saved(Image.new("L", (1, 1)), "JPEG").replace(b"\x08\0\x01\0\x01", b"\x08\xff\xff\xff\xff"),
        b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\x3f\0\xff\x3f\0",
        b"RIFF\x1e\0\0\0WEBPVP8L\x12\0\0\0\x2f\xff\xff\xff\x0f" + bytes(20),
        b"RIFF\x1e\0\0\0WEBPVP8 \x12\0\0\0\x30\x01\0\x9d\x01\x2a\xff\x3f\xff\x3f" + bytes(20),
    ],
    ids=["png", "jpeg", "webp extended", "webp lossless", "webp lossy"],
)
def test_bomb_is_refused_before_decoding(bomb, monkeypatch):
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))
    error = refusal(bomb, 250_000_000)
    assert "at most 250000000 pixels" in str(error) and "max_pixels" in str(error)


def test_the_limit_is_exact_and_above_pillows_own():
    data = saved(Image.new("1", (10_000, 9_000)), "PNG")  # above the size that Pillow warns about
    assert "expected at most 89999999 pixels, found 10000x9000" in str(refusal(data, 89_999_999))
    assert decode(saved(picture(), "PNG"), 1200).size == (40, 30)
    assert "1199" in str(refusal(saved(picture(), "PNG"), 1199))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6])
def test_truncated_file_is_refused(format, share):
    data = saved(Image.effect_noise((64, 64), 90).convert("RGB"), format)
    assert f"expected a whole {format} file" in str(refusal(data[: max(12, int(share * len(data)))]))


@pytest.mark.parametrize("format", ["PNG", "WEBP"])
def test_animation_is_refused(format):
    frames = [picture().rotate(angle) for angle in (0, 90, 180)]
    data = saved(frames[0], format, save_all=True, append_images=frames[1:])
    assert "expected a still picture, found 3 frames" in str(refusal(data))


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"<svg/>", saved(picture(), "GIF"), saved(picture(), "TIFF")])
def test_other_formats_are_refused(data):
    assert "expected a JPEG, PNG or WebP file" in str(refusal(data))


def test_empty_pictures_are_refused():
    refusal(png(0, 5, 8, 2, b""))
    refusal(saved(picture(), "JPEG").replace(b"\x08\0\x1e\0\x28", b"\x08\0\0\0\x28"))


def test_damaged_files_never_raise_anything_else():
    rng = np.random.default_rng(0)
    for data, *_ in KINDS.values():
        for _ in range(20):
            damaged = bytearray(data)
            for at in rng.integers(0, len(data), 4):
                damaged[at] = rng.integers(256)
            try:
                photo = decode(bytes(damaged), MANY)
            except ImageError as error:
                assert "\n" not in str(error)
            else:
                assert photo.color.shape == (photo.size[1], photo.size[0], 3)


def test_decoding_in_threads_gives_the_same():
    data = [data for data, *_ in KINDS.values()]
    expected = [decode(d, MANY).color.tobytes() for d in data]
    found: list[list[bytes]] = []
    threads = [
        threading.Thread(target=lambda: found.append([decode(d, MANY).color.tobytes() for d in data]))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4


@pytest.mark.parametrize(("height", "width"), [(1, 1), (30, 40), (3, 2000), (1, 65535)])
def test_view_is_a_square_of_the_middle(height, width):
    color = np.zeros((height, width, 3), np.uint8)
    color[:, : width // 2 + 3] = (250, 10, 60)
    view = to_view(color, 32)
    assert view.shape == (3, 32, 32) and view.dtype == np.uint8
    assert view[:, 16, 2].tolist() == [250, 10, 60]
