import io

import numpy as np
import pytest
from PIL import Image

from protect.verify.countermeasures import COUNTERMEASURES, squeeze

SMOOTH = np.add.outer(np.arange(48), np.arange(64))[..., None] * [1, 2, 0] + 16
PICTURE = Image.fromarray(
    (SMOOTH + np.random.default_rng(0).integers(-8, 9, (48, 64, 3))).clip(0, 255).astype(np.uint8)
)


def pixels(name, picture=PICTURE):
    return np.asarray(COUNTERMEASURES[name].picture(picture)).astype(int)


def roughness(values):
    return np.abs(np.diff(values, axis=0)).mean()


@pytest.mark.parametrize("row", squeeze.ROWS, ids=lambda row: row.name)
def test_every_squeeze_changes_a_picture_keeps_its_size_and_is_the_same_each_time(row):
    once, again = row.picture(PICTURE), row.picture(PICTURE)
    assert once.size == PICTURE.size and once.mode == "RGB"
    assert np.array_equal(np.asarray(once), np.asarray(again))
    assert not np.array_equal(np.asarray(once), np.asarray(PICTURE))
    assert row.picture(PICTURE.resize((700, 512))).size == (350, 256)


@pytest.mark.parametrize("quality", [10, 30, 50, 75])
def test_jpeg_is_what_pillow_reads_from_its_file(quality):
    file = io.BytesIO()
    PICTURE.save(file, "JPEG", quality=quality, subsampling=2)
    assert np.array_equal(pixels(f"jpeg-{quality}"), np.asarray(Image.open(file)))


def test_webp_is_what_pillow_reads_from_its_file():
    file = io.BytesIO()
    PICTURE.save(file, "WEBP", quality=75)
    assert np.array_equal(pixels("webp"), np.asarray(Image.open(file)))


def test_grayscale_has_no_colour():
    gray = pixels("grayscale")
    assert (gray == gray[..., :1]).all()
    assert np.array_equal(gray[..., 0], np.asarray(PICTURE.convert("L")))


@pytest.mark.parametrize("bits", [2, 4])
def test_few_bits_leave_the_nearest_of_few_values(bits):
    steps = 255 / (2**bits - 1)
    allowed = np.round(np.arange(2**bits) * steps)
    found = pixels(f"bit-depth-{bits}")
    assert set(np.unique(found)) <= set(allowed)
    assert np.abs(found - np.asarray(PICTURE)).max() <= steps / 2 + 0.5


@pytest.mark.parametrize("name", ["blur", "median", "resize-down-up"])
def test_smoothing_takes_noise_and_keeps_the_mean(name):
    found, before = pixels(name), np.asarray(PICTURE).astype(int)
    assert roughness(found) < 0.7 * roughness(before)
    assert abs(found.mean() - before.mean()) < 1


def test_the_median_removes_a_lone_pixel():
    flat = np.full((9, 9, 3), 100, np.uint8)
    flat[4, 4] = 255
    assert (pixels("median", Image.fromarray(flat)) == 100).all()
