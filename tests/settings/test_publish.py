"""The named strengths: in order, reachable from the settings, and as measured."""

import json
from pathlib import Path
from statistics import fmean

import pytest

from protect.settings.publish import STRENGTH_NAMES, STRENGTHS, PhotoSettings

RESULT = Path(__file__).parents[2] / "benchmarks/results/photos.json"


def test_settings_know_all_of_them():
    assert tuple(STRENGTHS) == STRENGTH_NAMES
    assert PhotoSettings().strength in STRENGTHS


@pytest.mark.parametrize(("weaker", "stronger"), [("subtle", "balanced"), ("balanced", "strong")])
def test_more_protection_costs_more_likeness(weaker, stronger):
    one, other = STRENGTHS[weaker], STRENGTHS[stronger]
    assert one.epsilon < other.epsilon and one.floor > other.floor and one.ssim > other.ssim


@pytest.mark.parametrize("name", STRENGTHS)
def test_the_floor_is_below_what_is_usual(name):
    assert 0.5 < STRENGTHS[name].floor < STRENGTHS[name].ssim < 1


@pytest.mark.parametrize("name", STRENGTHS)
def test_the_figures_are_those_of_the_benchmark(name):
    rows = json.loads(RESULT.read_text())["result"]["photos"]
    found = [row["ssim"] for row in rows if row["strength"] == name]
    assert fmean(found) == pytest.approx(STRENGTHS[name].ssim, abs=0.01)
    assert min(found) >= STRENGTHS[name].floor
