"""Standard errors are those of drawing the test pictures anew."""

import numpy as np
import pytest

from protect.verify.bootstrap import difference_error, resamples, retained_error

CHANCE = 0.1


def drawn(random, count=400):
    """Hits of a clean and of a protected attacker on the same pictures: easy ones are found by both."""
    ease = random.random(count)
    return (ease < 0.5).astype(float), (ease + random.normal(0, 0.1, count) < 0.3).astype(float)


def retained(whole, part):
    return (part.mean() - CHANCE) / (whole.mean() - CHANCE)


def test_the_error_is_the_spread_over_new_test_sets():
    random = np.random.default_rng(0)
    spread = np.std([retained(*drawn(random)) for _ in range(2000)])
    errors = [retained_error(part, whole, CHANCE) for whole, part in (drawn(random) for _ in range(20))]
    assert np.mean(errors) == pytest.approx(spread, rel=0.1)


def test_rows_judged_on_the_same_pictures_differ_less_than_they_vary():
    whole, part = drawn(np.random.default_rng(1))
    almost = part.copy()
    almost[:4] = 1 - almost[:4]
    assert difference_error(part, almost, whole, CHANCE) < retained_error(part, whole, CHANCE) / 2
    assert difference_error(part, part, whole, CHANCE) == retained_error(whole, whole, CHANCE) == 0


def test_resamples_are_samples_with_replacement():
    weights = resamples(50)
    assert weights.sum(1) == pytest.approx(1) and {*np.unique(weights * 50)} > {0.0, 1.0, 2.0}
    assert resamples(50) is weights
