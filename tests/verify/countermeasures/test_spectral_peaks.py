"""Stripes of any phase are filtered out of every picture, and pictures that have none stay what they are."""

from dataclasses import replace

import numpy as np
import pytest

from protect.verify.countermeasures import COUNTERMEASURES
from protect.verify.countermeasures.spectral_peaks import spectrum, without_peaks
from protect.verify.reading.pairs import Pairs

COUNT, SIDE = 60, 64
DRAW = np.random.default_rng(0)
WAVES = ((0, 16), (12, 12), (20, 0), (8, -8))  # down and across, in 64 pixels
ROW = COUNTERMEASURES["notch-filter"]


def scene(width):
    """Coarse patches and grain, which are there at all frequencies."""
    small = DRAW.normal(0, 30, (4, width // 16, 3))
    return np.kron(small, np.ones((16, 16, 1))) + DRAW.normal(0, 4, (SIDE, width, 3)) + 128


def striped(picture, wave):
    down, across = np.mgrid[0 : picture.shape[0], 0 : picture.shape[1]]
    phase = DRAW.uniform(0, 2 * np.pi)
    return picture + 8 * np.cos(2 * np.pi * (wave[0] * down + wave[1] * across) / SIDE + phase)[..., None]


def pairs(pictures):
    shown = [picture.clip(0, 255).round().astype(np.uint8) for picture in pictures]
    return Pairs(tuple(map(str, range(COUNT))), shown, (("a picture",),) * COUNT)


def error(found, clean):
    return np.mean([np.square(a.astype(float) - b).mean() for a, b in zip(found.pictures, clean, strict=True)])


@pytest.mark.parametrize("width", [SIDE, SIDE + 16])
def test_stripes_go_wherever_they_begin(width):
    clean, others = ([scene(width) for _ in range(COUNT)] for _ in range(2))
    published = pairs([striped(picture, WAVES[i % 4]) for i, picture in enumerate(clean)])
    made = ROW.from_clean(pairs(others)).pairs(published)
    assert error(made, clean) < (0.2 if width == SIDE else 0.5) * error(published, clean)
    assert made.captions == published.captions


def test_pictures_as_usual_are_hardly_changed():
    clean, others = ([scene(SIDE) for _ in range(COUNT)] for _ in range(2))
    assert error(without_peaks(pairs(clean), pairs(others).pictures), clean) < 3


def test_the_same_pictures_are_not_changed_at_all():
    same = pairs([scene(SIDE) for _ in range(COUNT)])
    found = without_peaks(same, replace(same).pictures)
    assert all(a is b for a, b in zip(found.pictures, same.pictures, strict=True))


def test_borders_that_do_not_fit_are_told_apart():
    ramp = np.add.outer(np.arange(SIDE), np.zeros(SIDE))[..., None].repeat(3, 2)
    inner, edges = (np.fft.ifft2(part, axes=(0, 1)).real for part in spectrum(ramp))
    assert np.allclose(inner + edges, ramp)
    assert np.abs(inner[0] - inner[-1]).max() < 0.1 * np.abs(ramp[0] - ramp[-1]).max()
