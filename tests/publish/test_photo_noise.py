"""A photo's noise after mask, strength and floor."""

import numpy as np
import pytest
from PIL import Image

from protect.data.pictures import display
from protect.publish.photo_noise import visible_change
from protect.publish.pixels import with_noise
from protect.publish.quality import ssim
from protect.settings.publish import STRENGTHS, Strength

SIZE = 32


@pytest.fixture(scope="module")
def half():
    """A photo of 200 x 150: texture on the left, nothing on the right."""
    pixels = np.full((150, 200, 3), 120, np.uint8)
    pixels[:, :100] = np.random.default_rng(0).normal(120, 40, (150, 100, 1)).clip(0, 255)
    return Image.fromarray(pixels)


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(1).choice(np.array([-8, 8], np.int8), (3, SIZE, SIZE))


def test_the_strengths_epsilon_counts_not_the_protectors(half, noise):
    for epsilon in (4.0, 8.0, 16.0):
        change, fit = visible_change(half, noise, 8.0, Strength(epsilon, 0.0, 0.9, ""))
        assert fit.scale == 1 and fit.epsilon == epsilon
        assert epsilon / 2 < np.abs(change).max() <= epsilon


def test_texture_gets_more_than_flat_areas(half, noise):
    change, _ = visible_change(half, noise, 8.0, STRENGTHS["balanced"])
    assert np.abs(change[:, :80]).mean() > 2.5 * np.abs(change[:, -80:]).mean() > 0


def test_what_a_model_sees_is_the_noise(half, noise, bring_back):
    change, _ = visible_change(half, noise, 8.0, Strength(8.0, 0.0, 0.9, ""))
    assert np.corrcoef(bring_back(change, SIZE).ravel(), noise.ravel())[0, 1] > 0.8


@pytest.mark.parametrize("floor", [0.95, 0.98])
def test_the_floor_holds_in_the_picture(half, noise, floor):
    change, fit = visible_change(half, noise, 8.0, Strength(16.0, floor, 0.9, ""))
    assert fit.lowered and fit.epsilon < 16
    changed = with_noise(half, change, 16.0)
    assert ssim(display(half), display(changed)) >= floor - 0.01


def test_grey_and_alpha_and_16_bit(half, noise):
    for mode in ("L", "RGBA", "CMYK"):
        change, _ = visible_change(half.convert(mode), noise, 8.0, STRENGTHS["subtle"])
        assert np.abs(change).max() > 0.5


def test_noise_without_an_epsilon(half, noise):
    with pytest.raises(ValueError, match="made_with"):
        visible_change(half, noise, 0.0, STRENGTHS["subtle"])
