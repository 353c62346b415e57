"""A budget of minutes: rounds end in time, one always runs, and a resumed fit remembers what it has spent."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from protect.data.window import Window
from protect.methods.mem_settings import ErrorMinSettings
from protect.methods.parts import time_limit
from protect.methods.parts.per_image import ROUNDS
from protect.methods.parts.time_limit import TimeLimit, rounds_within
from protect.methods.protector import Protector, fit
from protect.methods.recipe import Recipe
from protect.settings.recipe import FitSettings
from protect.types import Batch


@pytest.fixture
def minutes(monkeypatch):
    """A clock on which every round takes a minute."""
    steps = iter(range(10**6))
    monkeypatch.setattr(time_limit, "time", SimpleNamespace(monotonic=lambda: 60.0 * ((next(steps) + 1) // 2)))


def em(budget, rounds=6, names=("tiny-vit",)):
    own = ErrorMinSettings(rounds=rounds, surrogate_steps=1, steps=1, reinit_every=1, budget=budget)
    return Recipe(FitSettings(method="em", surrogate=names, size=32, window=4, batch=4), own=own)


def window_of():
    window = Window(32, 4)
    for number in range(4):
        window.add(str(number), np.full((3, 32, 32), 40 * number, np.uint8), [f"number {number}"])
    return window


@pytest.mark.parametrize(("budget", "rounds"), [(0.5, 1), (1.0, 1), (3.5, 3), (4.0, 4), (100.0, 6), (None, 6)])
def test_a_budget_ends_a_fit_with_the_last_round_that_fits(minutes, budget, rounds):
    lines = []
    made = fit(window_of(), em(budget), lines.append)
    assert made.fitted.facts[ROUNDS] == rounds == rounds_within(budget, 60.0, 6)
    assert (lines[-1] == f"budget of {budget or 0:g} min: round {rounds}/6 was the last one") == (rounds < 6)


def test_a_fit_cut_short_protects_with_the_surrogate_it_had(minutes, tmp_path):
    """Surrogates of two families take turns: the one that is loaded is that of the last round done."""
    for budget in (1.0, 2.0):
        made = fit(window_of(), em(budget, names=("tiny-vit", "tiny-resnet")))
        made.save(tmp_path / "protector")
        batch = window_of().batch(torch.arange(2))
        new = Batch(("new", "newer"), 1 - batch.images, batch.captions)
        assert Protector.load(tmp_path / "protector").protect(new).noise.abs().max() > 0


def test_a_resumed_fit_has_spent_what_it_had_spent(minutes, tmp_path):
    class Killed(Exception):
        pass

    def dies(line):
        if line.startswith("round 2/"):
            raise Killed

    with pytest.raises(Killed):
        fit(window_of(), em(3.0), dies, rounds=tmp_path)
    assert fit(window_of(), em(3.0), rounds=tmp_path).fitted.facts[ROUNDS] == 3


def test_without_a_limit_everything_is_allowed():
    assert TimeLimit(None, spent=1e9, longest=1e9).allows()
    assert not TimeLimit(1.0, spent=31.0, longest=31.0).allows()
