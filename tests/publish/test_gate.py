"""The gate: whatever noise comes in, what is decoded from the file is within the budget."""

import io
import math

import numpy as np
import pytest
from PIL import Image, ImageOps

from protect.data.images import ImageError, Photo, decode, encode
from protect.data.photo_files import decode_still
from protect.publish.gate import BudgetError, Published, publish
from protect.publish.upsample import at_full_size
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


def gated(photo: Photo, noise: np.ndarray, epsilon: float = 8, write=encode, **options) -> Published:
    change = at_full_size(photo.image, noise, epsilon)
    return publish(
        photo,
        change,
        epsilon,
        lambda image: write(photo, image, SETTINGS),
        lambda data: decode(data, MANY),
        **options,
    )


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
        published = gated(photo, noise, epsilon)
        again = decode(published.data, MANY)
        unit = 257 if photo.image.mode == "I;16" else 1
        change = np.abs(np.asarray(again.image).astype(int) - np.asarray(photo.image)).max() / unit
        assert 0 <= change <= epsilon and published.change.linf == math.ceil(change)
        assert (again.kind, again.size, again.mode) == (photo.kind, photo.size, photo.image.mode)
        assert published.reencode is None and published.scale == 1 and published.notes == ()
        if photo.image.mode in ("LA", "RGBA"):
            np.testing.assert_array_equal(again.image.getchannel("A"), photo.image.getchannel("A"))


@pytest.mark.parametrize("name", [n for n in LOSSLESS if "1x1" not in n])
def test_the_noise_is_really_there(name):
    published = gated(decode(LOSSLESS[name], MANY), noises()["signs"], 8)
    most = 56 if "panorama" in name else 50  # dB; a model sees 12 of the panorama's 300 columns
    assert published.change.linf > 2 and published.change.psnr < most


@pytest.mark.parametrize("name", LOSSLESS)
def test_epsilon_zero_is_pixel_identical_when_lossless(name):
    photo = decode(LOSSLESS[name], MANY)
    published = gated(photo, noises()["any"], 0)
    again = decode(published.data, MANY)
    np.testing.assert_array_equal(np.asarray(again.image), np.asarray(photo.image))
    assert (published.change.linf, published.change.psnr, published.change.ssim) == (0, math.inf, 1)


@pytest.mark.parametrize("name", LOSSY)
def test_lossy_files_are_measured_beside_a_clean_reencode(name):
    photo = decode(LOSSY[name], MANY)
    published = gated(photo, noises()["signs"], 8, reencode=True)
    again = decode(published.data, MANY)
    assert (again.kind, again.size, again.mode) == (photo.kind, photo.size, photo.image.mode)
    assert published.change.linf == np.abs(again.color.astype(int) - photo.color).max()
    assert published.reencode is not None
    if "1x1" not in name:
        assert published.reencode.psnr > published.change.psnr
    assert gated(photo, noises()["signs"], 8).reencode is None
    assert gated(photo, noises()["signs"], 0).change == published.reencode


def test_same_input_same_bytes():
    for data in (*LOSSLESS.values(), *LOSSY.values()):
        one, two = (gated(decode(data, MANY), noises()["signs"], 8) for _ in range(2))
        assert one == two


@pytest.mark.parametrize(("name", "least"), [("png", 0.9), ("webp lossless", 0.9), ("png RGBA", 0.9)])
def test_the_attackers_resize_finds_the_noise_in_the_file(name, least, bring_back):
    photo = decode(
        saved(picture("RGBA" if "RGBA" in name else "RGB", 200, 150), name.split()[0].upper(), lossless=True),
        MANY,
    )
    noise = noises(32)["signs"]
    again = decode(gated(photo, noise, 8).data, MANY)
    back = bring_back(again.color.astype(np.float32) - photo.color, 32)
    assert np.corrcoef(back.ravel(), noise.ravel())[0, 1] > least


def test_grey_photos_carry_the_luma_of_the_noise():
    photo = decode(saved(Image.new("L", (16, 16), 100), "PNG"), MANY)
    noise = np.zeros((3, 16, 16), np.int8)
    noise[1] = 8
    published = gated(photo, noise, 8)
    assert set(decode(published.data, MANY).color.ravel().tolist()) == {100 + round(8 * 0.587)}


def test_a_writer_that_breaks_the_budget_is_caught():
    photo = decode(LOSSLESS["png"], MANY)
    with pytest.raises(BudgetError, match="expected changes within 8/255, found"):
        gated(photo, noises()["signs"], write=lambda photo, image, settings: saved(ImageOps.invert(image), "PNG"))


def test_a_lossless_writer_that_moves_alpha_is_caught():
    photo = decode(LOSSLESS["png RGBA"], MANY)

    def faded(photo, image, settings):
        image.putalpha(image.getchannel("A").point(lambda value: value ^ 1))
        return saved(image, "PNG")

    with pytest.raises(BudgetError, match="expected alpha unchanged, found changes of 1/255"):
        gated(photo, noises()["signs"], write=faded)


def test_alpha_that_a_lossy_writer_moves_is_measured_and_noted():
    image = picture("RGBA", 64, 64)
    buffers = []

    def avif(clean: Image.Image) -> bytes:
        buffers.append(saved(clean, "AVIF", quality=60))
        return buffers[-1]

    still = decode_still(io.BytesIO(avif(image)), MANY)
    made = publish(
        still, np.zeros((64, 64, 3), np.float32), 8, avif, lambda data: decode_still(io.BytesIO(data), MANY)
    )
    again = np.asarray(decode_still(io.BytesIO(made.data), MANY).image).astype(int)
    moved = np.abs(again - np.asarray(still.image))
    assert made.alpha == moved[..., 3].max() > 0 and made.change.linf == moved[..., :3].max()
    assert made.notes == (f"transparency moved by up to {made.alpha}/255 by the codec",)


@pytest.mark.parametrize("wrong", [picture("L"), picture("RGB", 51, 39)], ids=["mode", "size"])
def test_a_writer_that_changes_the_kind_is_caught(wrong):
    photo: Photo = decode(LOSSLESS["png"], MANY)
    with pytest.raises(ImageError, match=r"written file: expected .* found"):
        gated(photo, noises()["signs"], write=lambda photo, image, settings: saved(wrong, "PNG"))


@pytest.mark.parametrize("name", ["png", "jpeg"])
def test_the_floor_lowers_the_noise(name):
    photo = decode({"png": LOSSLESS, "jpeg": LOSSY}[name][name], MANY)
    loud = gated(photo, noises()["signs"])
    floor = (1 + loud.change.ssim) / 2
    quiet = gated(photo, noises()["signs"], floor=floor)
    assert loud.scale == 1 and quiet.scale < 1 and loud.change.ssim < floor
    assert quiet.change.ssim >= floor * gated(photo, noises()["signs"], 0).change.ssim - 0.005
    assert gated(photo, noises()["signs"], floor=loud.change.ssim) == loud


@pytest.mark.parametrize("epsilon", [-1, math.nan, 300])
def test_bad_requests_are_refused(epsilon):
    with pytest.raises(ValueError, match="expected 0 to 255, got"):
        publish(decode(LOSSLESS["png"], MANY), np.zeros((8, 8, 3), np.float32), epsilon, bytes, bytes)
