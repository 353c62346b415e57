"""Directions are whitened: what stands out in one of them is brought down, coarse shapes and quiet pictures stay."""

import numpy as np
import pytest
from PIL import Image

from protect.verify.countermeasures import COUNTERMEASURES, STANDARD
from protect.verify.countermeasures.spectral_whitening import whitened

SIDE = 64
ROW = COUNTERMEASURES["spectral-whitening"]


def grain(seed=0, shape=(SIDE, SIDE)):
    return 128 + np.random.default_rng(seed).normal(0, 12, (*shape, 3))


def picture(values):
    return Image.fromarray(np.asarray(values).clip(0, 255).round().astype(np.uint8))


def lines(angle, period=3.5, shape=(SIDE, SIDE), strength=8):
    down, across = np.mgrid[: shape[0], : shape[1]]
    turns = (np.sin(angle) * down + np.cos(angle) * across) / period
    return strength * np.cos(2 * np.pi * turns)[..., None]


def share_of(values, angle, period=3.5):
    """How much of a picture lies along these lines, amplitude."""
    gray = np.asarray(values, np.float64).mean(2)
    down, across = np.mgrid[: gray.shape[0], : gray.shape[1]]
    wave = np.exp(-2j * np.pi * (np.sin(angle) * down + np.cos(angle) * across) / period)
    return 2 * abs(np.mean((gray - gray.mean()) * wave))


@pytest.mark.parametrize("angle", [0.0, 0.7, 2.1])
@pytest.mark.parametrize("shape", [(SIDE, SIDE), (SIDE, 90)])
def test_a_loud_direction_is_brought_down(angle, shape):
    loud = picture(grain(shape=shape) + lines(angle, shape=shape))
    assert share_of(ROW.picture(loud), angle) < 0.5 * share_of(loud, angle)


def test_a_picture_without_a_loud_direction_hardly_changes():
    quiet = picture(grain())
    moved = np.asarray(whitened(quiet), float) - np.asarray(quiet)
    assert np.sqrt(np.square(moved).mean()) < 4.5  # of a grain of 12


def test_coarse_shapes_and_flat_pictures_stay():
    coarse = picture(np.kron(np.random.default_rng(1).uniform(60, 200, (2, 2, 3)), np.ones((32, 32, 1))))
    after = np.asarray(whitened(coarse), float)
    means = [part.reshape(2, 32, 2, 32, 3).mean((1, 3)) for part in (after, np.asarray(coarse, float))]
    assert np.abs(means[0] - means[1]).max() < 6
    flat = picture(np.full((20, 31, 3), 99))
    assert np.array_equal(whitened(flat), flat)


def test_it_is_a_standard_row_judged_on_transformed_pictures():
    assert ROW.name in STANDARD and ROW.transforms_test and ROW.setting is None


def test_an_attacker_may_take_planted_words_off_at_once():
    both = COUNTERMEASURES["whiten-and-deduplicate"]
    assert both.name in STANDARD and both.transforms_test and both.picture is ROW.picture
    captions = [
        (f"{('azure', 'amber')[n % 2]} a {('cat', 'dog')[n // 2 % 2]} on the road by day",) for n in range(40)
    ]
    assert both.captions(captions) == [(caption.split(" ", 1)[1],) for (caption,) in captions]
