"""Noise in pictures of every mode, and how far two pictures are apart."""

import io

import numpy as np
import pytest
from PIL import Image

from protect.publish.pixels import compare, with_noise
from protect.publish.quality import ssim


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "CMYK", "I;16"])
def test_noise_keeps_to_epsilon_and_off_the_transparency(photo_bytes, mode):
    image = Image.open(io.BytesIO(photo_bytes("TIFF" if mode == "CMYK" else "PNG", mode)))
    change = np.random.default_rng(0).normal(0, 30, (48, 64, 3)).astype(np.float32)
    noisy = with_noise(image, change, 6.9)
    unit = 257 if mode == "I;16" else 1
    moved = np.abs(np.asarray(noisy).astype(int) - np.asarray(image))
    assert (noisy.mode, noisy.size) == (image.mode, image.size)
    assert moved.max() == 6 * unit
    if mode in ("LA", "RGBA"):
        assert moved[..., -1].max() == 0
    found = compare(image, noisy)
    assert found.colors.linf == found.largest == 6 and found.alpha == 0


def test_a_photo_of_many_strips_is_changed_as_one():
    image = Image.new("RGB", (40, 700), (100, 120, 140))
    change = np.random.default_rng(0).uniform(-5, 5, (70, 4, 3)).astype(np.float32)
    moved = np.asarray(with_noise(image, change, 8.0)).astype(int) - np.asarray(image)
    expected = [
        np.asarray(Image.fromarray(change[..., c]).resize((40, 700), Image.Resampling.BICUBIC)) for c in range(3)
    ]
    assert np.abs(moved - np.clip(np.stack(expected, axis=2), -8, 8)).max() <= 0.6


def test_ink_moves_against_light():
    image = Image.new("CMYK", (8, 8), (100, 100, 100, 20))
    brighter = with_noise(image, np.full((8, 8, 3), 5, np.float32), 8.0)
    assert brighter.getpixel((3, 3)) == (95, 95, 95, 20)


def test_a_change_of_one_channel_is_grey_already():
    image = Image.new("LA", (8, 8), (100, 7))
    assert with_noise(image, np.full((8, 8, 1), 5, np.float32), 8.0).getpixel((3, 3)) == (105, 7)


def test_the_change_itself_stays_as_it_is():
    change = np.full((300, 8, 3), 2.5, np.float32)
    with_noise(Image.new("RGB", (8, 300)), change, 8.0)
    assert (change == 2.5).all()


@pytest.mark.parametrize("epsilon", [8, 60])
def test_black_and_white_stay_in_the_range_of_pixels(epsilon):
    image = Image.fromarray(np.repeat([[0, 3, 252, 255]], 8, axis=0).astype(np.uint8)).convert("RGB")
    for step, expected in ((6, (6, 9, 255, 255)), (-6, (0, 0, 246, 249))):
        moved = np.asarray(with_noise(image, np.full((8, 4, 1), step, np.float32), epsilon))
        assert (moved == np.array(expected)[None, :, None]).all()


def test_figures_of_a_known_change():
    clean, moved = Image.new("RGB", (32, 32), (100, 100, 100)), Image.new("RGB", (32, 32), (104, 100, 100))
    found = compare(clean, moved).colors
    assert found.linf == 4 and found.psnr == pytest.approx(10 * np.log10(255**2 * 3 / 16), abs=1e-6)
    assert found.ssim == pytest.approx(ssim(np.asarray(clean), np.asarray(moved)))
    same = compare(clean, clean.copy()).colors
    assert (same.linf, same.psnr, same.ssim) == (0, np.inf, 1.0)


def test_alpha_is_measured_apart_from_colours():
    clean, moved = Image.new("RGBA", (32, 32), (100, 100, 100, 200)), Image.new("RGBA", (32, 32), (100, 103, 100, 50))
    found = compare(clean, moved)
    assert (found.largest, found.alpha) == (3, 150)
    assert found.colors == compare(clean.convert("RGB"), moved.convert("RGB")).colors


def test_sixteen_bit_changes_are_told_in_255ths():
    clean = Image.fromarray(np.full((32, 32), 1000, np.uint16))
    found = compare(clean, Image.fromarray(np.full((32, 32), 1000 + 600, np.uint16)))
    assert found.largest == pytest.approx(600 / 257) and found.colors.linf == 3
    assert found.colors.psnr == pytest.approx(20 * np.log10(255 * 257 / 600))
