"""The gate: whatever noise comes in, what is decoded from the file is within the budget."""

import io
import math

import numpy as np
import pytest
from PIL import Image

from protect.data.images import ImageError, Photo, decode
from protect.publish import gate as publish
from protect.publish.gate import BudgetError, publish_image
from protect.publish.upsample import bring_back
from protect.settings.publish import PublishSettings

MANY = 10**6
SETTINGS = PublishSettings()


def saved(image: Image.Image, format: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def picture(mode: str = "RGB", width: int = 50, height: int = 40) -> Image.Image:
    small = np.random.default_rng(0).integers(0, 256, (5, 6, 4), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height)).convert(mode)


def deep() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 65536, (40, 50), dtype=np.uint16))


LOSSLESS = {
    "png": saved(picture(), "PNG"),
    "png 1x1": saved(picture("RGB", 1, 1), "PNG"),
    "png panorama": saved(picture("RGB", 300, 3), "PNG"),
    "png smaller than the noise": saved(picture("RGB", 9, 12), "PNG"),
    "png grey": saved(picture("L"), "PNG"),
    "png 1-bit": saved(picture("1"), "PNG"),
    "png palette": saved(picture().quantize(9), "PNG"),
    "png palette, transparent": saved(picture().quantize(9), "PNG", transparency=bytes(range(9))),
    "png LA": saved(picture("LA"), "PNG"),
    "png RGBA": saved(picture("RGBA"), "PNG"),
    "png 16-bit": saved(deep(), "PNG"),
    "webp lossless": saved(picture(), "WEBP", lossless=True),
    "webp lossless RGBA": saved(picture("RGBA"), "WEBP", lossless=True, exact=True),
}
LOSSY = {
    "jpeg": saved(picture(), "JPEG", quality=95),
    "jpeg 1x1": saved(picture("RGB", 1, 1), "JPEG"),
    "jpeg grey": saved(picture("L"), "JPEG"),
    "jpeg cmyk": saved(picture("CMYK"), "JPEG"),
    "jpeg progressive": saved(picture(), "JPEG", progressive=True),
    "webp": saved(picture(), "WEBP"),
    "webp RGBA": saved(picture("RGBA"), "WEBP"),
}


def noises(size: int = 16) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {
        "signs": rng.choice([-8, 8], (3, size, size)).astype(np.int8),
        "any": rng.integers(-128, 128, (3, size, size)).astype(np.int8),
        "highest": np.full((3, size, size), 127, np.int8),
        "lowest": np.full((3, size, size), -128, np.int8),
    }


@pytest.mark.parametrize("epsilon", [1, 2.5, 8, 16.0])
@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_files_keep_the_budget(name, epsilon):
    photo = decode(LOSSLESS[name], MANY)
    for noise in noises().values():
        published = publish_image(photo, noise, epsilon, SETTINGS)
        again = decode(published.data, MANY)
        change = np.abs(again.color.astype(int) - photo.color).max()
        assert 0 <= change <= epsilon and published.change.linf == change
        if photo.deep is not None:
            assert np.abs(again.deep.astype(int) - photo.deep).max() <= epsilon * 257
        assert (again.format, again.size, again.mode) == (photo.format, photo.size, photo.written)
        assert published.reencode is None and published.notes == photo.notes
        if photo.alpha is not None:
            np.testing.assert_array_equal(again.alpha, photo.alpha)


@pytest.mark.parametrize("name", [n for n in LOSSLESS if "1x1" not in n])
def test_the_noise_is_really_there(name):
    published = publish_image(decode(LOSSLESS[name], MANY), noises()["signs"], 8, SETTINGS)
    assert published.change.linf > 2 and published.change.psnr < 50


@pytest.mark.parametrize("name", LOSSLESS)
def test_epsilon_zero_is_pixel_identical_when_lossless(name):
    photo = decode(LOSSLESS[name], MANY)
    published = publish_image(photo, noises()["any"], 0, SETTINGS)
    again = decode(published.data, MANY)
    np.testing.assert_array_equal(again.color, photo.color)
    if photo.deep is not None:
        np.testing.assert_array_equal(again.deep, photo.deep)
    assert (published.change.linf, published.change.psnr, published.change.ssim) == (0, math.inf, 1)


@pytest.mark.parametrize("name", LOSSY)
def test_lossy_files_are_measured_beside_a_clean_reencode(name):
    photo = decode(LOSSY[name], MANY)
    published = publish_image(photo, noises()["signs"], 8, SETTINGS)
    again = decode(published.data, MANY)
    assert (again.format, again.size, again.mode) == (photo.format, photo.size, photo.written)
    assert published.change.linf == np.abs(again.color.astype(int) - photo.color).max()
    assert published.reencode is not None
    if "1x1" not in name:
        assert published.reencode.psnr > published.change.psnr
    assert publish_image(photo, noises()["signs"], 8, SETTINGS, measure_reencode=False).reencode is None
    assert publish_image(photo, noises()["signs"], 0, SETTINGS).change == published.reencode


def test_same_input_same_bytes():
    for data in (*LOSSLESS.values(), *LOSSY.values()):
        one, two = (publish_image(decode(data, MANY), noises()["signs"], 8, SETTINGS) for _ in range(2))
        assert one == two


@pytest.mark.parametrize(("name", "least"), [("png", 0.9), ("webp lossless", 0.9), ("png RGBA", 0.9)])
def test_the_attackers_resize_finds_the_noise_in_the_file(name, least):
    photo = decode(
        saved(picture("RGBA" if "RGBA" in name else "RGB", 200, 150), name.split()[0].upper(), lossless=True),
        MANY,
    )
    noise = noises(32)["signs"]
    again = decode(publish_image(photo, noise, 8, SETTINGS).data, MANY)
    back = bring_back(again.color.astype(np.float32) - photo.color, 32)
    assert np.corrcoef(back.ravel(), noise.ravel())[0, 1] > least


def test_grey_photos_carry_the_luma_of_the_noise():
    photo = decode(saved(Image.new("L", (16, 16), 100), "PNG"), MANY)
    noise = np.zeros((3, 16, 16), np.int8)
    noise[1] = 8
    published = publish_image(photo, noise, 8, SETTINGS)
    assert set(decode(published.data, MANY).color.ravel().tolist()) == {100 + round(8 * 0.587)}


def test_a_writer_that_breaks_the_budget_is_caught(monkeypatch):
    photo = decode(LOSSLESS["png"], MANY)
    monkeypatch.setattr(publish, "encode", lambda photo, color, settings: saved(Image.fromarray(255 - color), "PNG"))
    with pytest.raises(BudgetError, match="expected changes within 8/255, found"):
        publish_image(photo, noises()["signs"], 8, SETTINGS)


@pytest.mark.parametrize("wrong", [picture("L"), picture("RGB", 51, 39)], ids=["mode", "size"])
def test_a_writer_that_changes_the_kind_is_caught(wrong, monkeypatch):
    photo: Photo = decode(LOSSLESS["png"], MANY)
    monkeypatch.setattr(publish, "encode", lambda photo, color, settings: saved(wrong, "PNG"))
    with pytest.raises(ImageError, match=r"written file: expected .* found"):
        publish_image(photo, noises()["signs"], 8, SETTINGS)


@pytest.mark.parametrize(("channels", "epsilon"), [(1, 8), (3, -1), (3, math.nan), (3, 300)])
def test_bad_requests_are_refused(channels, epsilon):
    photo = decode(LOSSLESS["png"], MANY)
    with pytest.raises(ValueError, match="expected 3xSxS noise and epsilon 0 to 255, got"):
        publish_image(photo, np.zeros((channels, 8, 8), np.int8), epsilon, SETTINGS)
