"""Rows that change the batch or the resolution change nothing else."""

from dataclasses import asdict

import pytest

from protect.settings.verify import VerifySettings
from protect.verify.countermeasures import COUNTERMEASURES
from protect.verify.countermeasures.base import PLAIN, Regime
from protect.verify.runs.data import scaled

SETTINGS = VerifySettings(batch=128, learning_rate=1e-3)


def changed(regime, size=64):
    """The settings that differ under a regime."""
    before, after = asdict(SETTINGS), asdict(regime.applied(SETTINGS, size))
    return {name: value for name, value in after.items() if value != before[name]}


def test_the_plain_regime_changes_nothing():
    assert changed(PLAIN) == {}


@pytest.mark.parametrize("batch", [512, 1024])
def test_large_batches_have_a_higher_learning_rate(batch):
    rate = pytest.approx(1e-3 * (batch / 128) ** 0.5)
    assert changed(COUNTERMEASURES[f"large-batch-{batch}"].regime) == {"batch": batch, "learning_rate": rate}


@pytest.mark.parametrize(
    ("name", "sizes"),
    [("half-resolution", {64: 32, 96: 64, 224: 128, 32: 32}), ("double-resolution", {64: 128, 96: 192, 224: 448})],
)
def test_resolution_is_that_of_the_pictures(name, sizes):
    regime = COUNTERMEASURES[name].regime
    assert {size: scaled(size, regime) for size in sizes} == sizes  # multiples of 32, which all models take
    assert changed(regime, 128) == {"size": 128} and scaled(50, PLAIN) == 50


def test_regimes_add_up():
    assert changed(Regime(view="none", times=3)) == {"augment": "none", "epochs": 3 * SETTINGS.epochs}
