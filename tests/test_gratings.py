"""Gratings: where their energy lies, that they add up, and that neither a mean nor a spectrum betrays them."""

import pytest
import torch

from protect import gratings
from protect.gratings import PERIOD, WAVES, stripes, waving
from protect.seeds import generator

SIZE = 64


def spectrum(picture):
    return torch.fft.fft2(picture).abs() ** 2 / SIZE**4


@pytest.mark.parametrize("symbol", range(len(WAVES)))
def test_straight_lines_are_one_wave_of_amplitude_one(symbol, monkeypatch):
    monkeypatch.setattr(gratings, "WAVING", 0.0)
    made = stripes([symbol], SIZE, generator(0))
    down, across = WAVES[symbol]
    times, expected = SIZE // PERIOD, torch.zeros(SIZE, SIZE)
    expected[times * down, times * across] = expected[-times * down, -times * across] = 0.25
    assert torch.allclose(spectrum(made), expected, atol=1e-5)


@pytest.mark.parametrize("symbol", range(len(WAVES)))
def test_waving_lines_stay_near_their_wave_and_have_no_peak(symbol):
    down, across = WAVES[symbol]
    energy = torch.stack([spectrum(stripes([symbol], SIZE, generator(0, key))) for key in range(20)])
    assert energy.sum((1, 2)).mean().item() == pytest.approx(0.5, rel=0.1)
    assert energy.amax((1, 2)).mean() < 0.1  # of 0.25 that a straight wave has at one frequency
    middle = energy.mean(0).roll((SIZE // 2 - 4 * down, SIZE // 2 - 4 * across), (0, 1))
    assert (
        middle[SIZE // 2 - 6 : SIZE // 2 + 7, SIZE // 2 - 6 : SIZE // 2 + 7].sum() > 0.2
    )  # half of it is the mirror's


def test_no_two_gratings_are_the_same_wave():
    waves = {frozenset([(d % PERIOD, a % PERIOD), (-d % PERIOD, -a % PERIOD)]) for d, a in WAVES}
    assert len(waves) == len(WAVES)


def test_gratings_add_up(monkeypatch):
    monkeypatch.setattr(gratings, "WAVING", 0.0)
    both = spectrum(stripes([2, 5], SIZE, generator(1)))
    for symbol in (2, 5):
        down, across = (SIZE // PERIOD * times for times in WAVES[symbol])
        assert both[down, across].item() == pytest.approx(0.25, rel=1e-3)
    assert not stripes([], SIZE, generator(1)).any()


def test_the_mean_over_pictures_shows_nothing():
    mean = torch.stack([stripes([3], SIZE, generator(0, "phase", key)) for key in range(400)]).mean(0)
    assert mean.abs().max() < 0.2


@pytest.mark.parametrize("size", [8, 16, 41, 224])
def test_every_size_can_be_had(size):
    assert stripes([0, 6], size, generator(3)).shape == (size, size)


def test_surfaces_are_smooth_and_about_one_high():
    surface = torch.stack([waving(96, generator(0, key)) for key in range(30)])
    assert surface.var().item() == pytest.approx(0.8, abs=0.25)
    assert surface.diff(dim=1).abs().max() < 0.6
