"""Largest change, PSNR and SSIM against definitions and scikit-image."""

import math

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import structural_similarity

from protect.data.views import DISPLAY
from protect.publish.quality import Distortion, linf, measure, psnr, ssim, ssim_along


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    small = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def disturbed(clean: np.ndarray, epsilon: int, seed: int = 1) -> np.ndarray:
    steps = np.random.default_rng(seed).choice([-epsilon, epsilon], clean.shape)
    return np.clip(clean.astype(int) + steps, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("height", "width", "epsilon"), [(64, 64, 8), (120, 90, 2), (11, 40, 16), (300, 200, 64)])
def test_ssim_agrees_with_scikit_image(height, width, epsilon):
    clean = picture(height, width)
    other = disturbed(clean, epsilon)
    expected = structural_similarity(
        clean,
        other,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
        channel_axis=2,
    )
    assert ssim(clean, other) == pytest.approx(expected, abs=1e-3)


def test_ssim_of_saturated_flat_pictures_is_the_luminance_term():
    a, b = np.full((20, 20, 3), 255, np.uint8), np.full((20, 20, 3), 250, np.uint8)
    c1 = (0.01 * 255) ** 2
    assert ssim(a, b) == pytest.approx((2 * 255 * 250 + c1) / (255**2 + 250**2 + c1), abs=1e-3)


def test_ssim_falls_with_noise():
    clean = picture(80, 80)
    values = [ssim(clean, disturbed(clean, epsilon)) for epsilon in (1, 4, 16, 64)]
    assert values == sorted(values, reverse=True) and values[0] > 0.98 and values[-1] < 0.5


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 50), (4, 5), (10, 10), (2, 2)])
def test_pictures_smaller_than_the_window(height, width):
    clean = picture(height, width)
    assert ssim(clean, clean) == pytest.approx(1, abs=1e-6)
    assert ssim(clean, 255 - clean) < 0.999


def test_large_pictures_are_compared_at_display_size():
    clean = picture(40, DISPLAY + 400)
    other = disturbed(clean, 8)
    size = (DISPLAY, round(40 * DISPLAY / (DISPLAY + 400)))
    shown = [np.asarray(Image.fromarray(x).resize(size, Image.Resampling.BICUBIC)) for x in (clean, other)]
    assert ssim(clean, other) == ssim(*shown)


def test_psnr_by_definition():
    clean = picture(300, 70)  # taller than one strip
    other = disturbed(clean, 5)
    error = np.mean((clean.astype(float) - other) ** 2)
    assert psnr(clean, other) == pytest.approx(10 * math.log10(255**2 / error))
    assert psnr(clean, clean) == math.inf


def test_linf_sees_one_pixel_in_both_directions():
    clean = np.full((600, 3, 3), 100, np.uint8)
    for value, expected in ((107, 7), (91, 9), (100, 0)):
        other = clean.copy()
        other[599, 2, 1] = value
        assert linf(clean, other) == linf(other, clean) == expected


def test_measure_gathers_the_three():
    clean = picture(50, 60)
    other = disturbed(clean, 3)
    assert measure(clean, other) == Distortion(linf(clean, other), psnr(clean, other), ssim(clean, other))
    assert measure(clean, clean) == Distortion(0, math.inf, 1.0)


def test_other_sizes_and_kinds_are_refused():
    clean = picture(5, 6)
    for other in (picture(6, 5), clean.astype(np.float32), clean[..., 0]):
        with pytest.raises(ValueError, match="expected two uint8 HxWx3 pictures"):
            measure(clean, other)


def test_ssim_along_a_change_is_the_ssim_of_the_picture_changed_so_much():
    clean = picture(40, 60) // 2 + 64
    change = np.random.default_rng(3).choice([-20, -8, 8, 20], clean.shape).astype(np.float32)
    along = ssim_along(clean, change)
    assert along(0.0) == pytest.approx(1)
    for scale in (0.5, 1.0):
        changed = (clean + scale * change).astype(np.uint8)
        assert along(scale) == pytest.approx(ssim(clean, changed), abs=1e-4)
