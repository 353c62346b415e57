"""Noise goes where texture hides it, and no photo falls below the floor."""

import numpy as np
import pytest

from protect.data.views import DISPLAY
from protect.publish.masking import (
    CELL,
    FULL,
    LEAST,
    display_grey,
    display_mask,
    fit_epsilon,
    mask_rows,
    tighter,
    visibility_mask,
)
from protect.publish.quality import ssim


def grey(level, height=120, width=160):
    return np.full((height, width, 3), level, np.uint8)


def textured(contrast, height=120, width=160, level=128):
    values = np.random.default_rng(0).normal(level, contrast, (height, width, 1)).clip(0, 255)
    return np.repeat(values, 3, axis=2).astype(np.uint8)


def halves(left, right):
    return np.concatenate([left, right], axis=1)


def noise_for(picture, amplitude):
    return np.random.default_rng(1).choice([-amplitude, amplitude], picture.shape).astype(np.float32)


@pytest.mark.parametrize("level", [0, 40, 128, 255])
def test_flat_areas_get_the_least(level):
    mask = visibility_mask(grey(level))
    assert mask.dtype == np.float32 and mask.shape == (120, 160)
    assert np.allclose(mask, LEAST)


def test_strong_texture_gets_all():
    assert np.allclose(visibility_mask(textured(2 * FULL)), 1)


def test_more_texture_more_noise():
    means = [visibility_mask(textured(contrast)).mean() for contrast in (0, 4, 8, 16)]
    assert means == sorted(means) and means[0] < means[1] < means[3]


def test_a_lone_edge_hides_little_of_what_is_beside_it():
    edge = visibility_mask(halves(grey(30), grey(220)))
    assert edge.max() < 0.8
    assert np.allclose(edge[:, :100], LEAST, atol=1e-4) and np.allclose(edge[:, -100:], LEAST, atol=1e-4)


def test_dark_tones_get_less_than_bright_ones():
    assert visibility_mask(textured(7, level=45)).mean() < 0.9 * visibility_mask(textured(7, level=190)).mean()


def test_least_is_a_choice():
    assert np.allclose(visibility_mask(grey(90), least=0.6), 0.6)
    assert np.allclose(visibility_mask(textured(3), least=1.0), 1)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (7, 5)])
def test_tiny_pictures(size):
    assert np.allclose(visibility_mask(grey(90, *size)), LEAST)


def test_strips_fit_together():
    picture = textured(12, 700, 1500)
    mask, whole = display_mask(picture), visibility_mask(picture)
    assert max(mask.shape) == DISPLAY // CELL and whole.shape == (700, 1500)
    strips = [mask_rows(mask, 700, 1500, top, min(700, top + 128)) for top in range(0, 700, 128)]
    assert np.abs(np.concatenate(strips) - whole).max() < 1e-5


def test_large_pictures_are_reduced_in_strips_without_seams():
    ramp = np.repeat(np.linspace(0, 255, 5000)[:, None], 40, axis=1)
    picture = np.repeat(ramp[..., None], 3, axis=2).astype(np.uint8)
    small = display_grey(picture)
    assert small.shape == (DISPLAY, round(40 * DISPLAY / 5000))
    assert np.abs(small[:, 4] - np.linspace(0, 255, DISPLAY)).max() < 1.5


@pytest.mark.parametrize("picture", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), grey(0)[:0]])
def test_what_is_no_picture(picture):
    with pytest.raises(ValueError, match="expected uint8 HxWx3"):
        display_mask(picture)


def test_a_least_above_one():
    with pytest.raises(ValueError, match="least"):
        display_mask(grey(0), least=1.5)


def test_a_photo_that_bears_the_noise_keeps_it():
    picture = textured(40)
    fit = fit_epsilon(picture, noise_for(picture, 4), 4.0, 0.9)
    assert (fit.scale, fit.epsilon, fit.lowered) == (1.0, 4.0, False)


@pytest.mark.parametrize("floor", [0.8, 0.95, 0.99])
def test_the_floor_holds_for_the_rounded_picture(floor):
    picture = halves(textured(9), grey(128))
    change = noise_for(picture, 16)
    fit = fit_epsilon(picture, change, 16.0, floor)
    assert fit.lowered and fit.epsilon == 16 * fit.scale
    published = np.clip(np.rint(picture + fit.scale * change), 0, 255).astype(np.uint8)
    assert ssim(picture, published) >= floor - 0.002
    more = np.clip(np.rint(picture + 1.25 * fit.scale * change), 0, 255).astype(np.uint8)
    assert ssim(picture, more) < floor


def test_a_floor_of_one_leaves_nothing():
    picture = textured(9)
    fit = fit_epsilon(picture, noise_for(picture, 8), 8.0, 1.0)
    assert fit.scale == 0 and fit.ssim == pytest.approx(1)


def test_noise_on_a_coarser_grid_is_stretched():
    picture = textured(9, 240, 320)
    coarse = noise_for(picture[::8, ::8], 8)
    fit = fit_epsilon(picture, coarse, 8.0, 0.97)
    assert fit.lowered and fit.ssim >= 0.97


def test_values_that_make_no_sense():
    picture = grey(90)
    with pytest.raises(ValueError, match="change: expected HxWx3"):
        fit_epsilon(picture, np.zeros((120, 160), np.float32), 8.0, 0.9)
    with pytest.raises(ValueError, match="floor"):
        fit_epsilon(picture, noise_for(picture, 8), 8.0, 90.0)


def test_tighter_goes_on_until_it_is_enough():
    assert tighter(1.0, 0.8, 0.95) == pytest.approx(0.49)
    assert tighter(0.5, 0.95, 0.95) < 0.5
    assert tighter(0.5, 0.99, 1.0) == 0


def test_the_mask_keeps_more_likeness_at_the_same_energy():
    picture = halves(textured(25), grey(128))
    noise = noise_for(picture, 8)
    masked = noise * visibility_mask(picture)[..., None]
    plain = noise * np.sqrt((masked**2).mean() / (noise**2).mean())
    pictures = [np.clip(np.rint(picture + n), 0, 255).astype(np.uint8) for n in (masked, plain)]
    assert ssim(picture, pictures[0]) > ssim(picture, pictures[1]) + 0.05
