import io

import numpy as np
import pytest
from PIL import Image

from protect.verify.countermeasures import COUNTERMEASURES
from protect.verify.countermeasures.scraper import stored


def noise(*size, seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=np.uint8))


@pytest.mark.parametrize(
    ("size", "expected"),
    [((300, 400), (256, 341)), ((1000, 512), (500, 256)), ((256, 900), (256, 900)), ((9, 9), (9, 9))],
)
def test_the_shorter_side_is_shrunk_and_never_enlarged(size, expected):
    assert stored(noise(*size)).size == expected


def test_whole_factors_give_the_mean_of_each_block():
    picture = noise(512, 768)
    blocks = np.asarray(picture).reshape(384, 2, 256, 2, 3).mean(axis=(1, 3))
    assert np.abs(np.asarray(stored(picture)) - blocks).max() <= 0.51


def test_pixels_at_a_border_count_in_part():
    ramp = np.broadcast_to(np.arange(384)[:, None, None] // 2, (384, 384, 3)).astype(np.uint8)
    rows = np.asarray(stored(Image.fromarray(ramp)))[:, 0, 0].astype(float)
    pixels = np.repeat(ramp[:, 0, 0].astype(float), 2)  # halves: 1.5 pixels are 3 of them
    assert np.abs(rows - pixels.reshape(256, 3).mean(1)).max() <= 0.51


def test_the_chain_is_a_file_of_quality_95_with_pillows_sampling():
    row, picture, file = COUNTERMEASURES["scraper-chain"], noise(80, 64), io.BytesIO()
    picture.save(file, "JPEG", quality=95)
    assert np.array_equal(np.asarray(row.picture(picture)), np.asarray(Image.open(file)))
    assert row.regime.view == "openclip"
