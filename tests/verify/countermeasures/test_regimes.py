"""Rows that change the batch or the resolution change nothing else."""

from dataclasses import asdict

import pytest

from protect.settings.verify import VerifySettings
from protect.verify.countermeasures import COUNTERMEASURES
from protect.verify.countermeasures.base import PLAIN, Regime

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


@pytest.mark.parametrize(("name", "size"), [("half-resolution", 32), ("double-resolution", 128)])
def test_resolution_is_that_of_the_pictures(name, size):
    regime = COUNTERMEASURES[name].regime
    assert int(64 * regime.resolution) == size and changed(regime, size) == {"size": size}


def test_regimes_add_up():
    assert changed(Regime(view="none", times=3)) == {"augment": "none", "epochs": 3 * SETTINGS.epochs}
