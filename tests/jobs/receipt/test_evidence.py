"""The tests of a receipt: exact under fair coins, whatever the magnitudes; they see what is there."""

import numpy as np
import pytest
from scipy.stats import binomtest, wilcoxon

from protect.jobs.receipt.evidence import any_time_p, evidence, rank_p, sign_p


@pytest.mark.parametrize("magnitudes", ["equal", "normal", "heavy"])
def test_false_alarms_come_at_the_promised_rate(magnitudes):
    random = np.random.default_rng(3)
    told = {"sign": 0, "rank": 0, "any time": 0}
    for _ in range(300):
        size = {
            "equal": np.ones(40),
            "normal": np.abs(random.normal(size=40)),
            "heavy": random.pareto(0.5, 40) + 1e-9,
        }
        values = size[magnitudes] * (2 * random.integers(0, 2, 40) - 1)
        told["sign"] += sign_p(int((values > 0).sum()), 40) <= 0.05
        told["rank"] += rank_p(values) <= 0.05
        told["any time"] += any_time_p(values)[-1] <= 0.05
    assert max(told.values()) <= 26  # 15 are promised, and three standard deviations more


def test_p_values_are_those_of_scipy():
    values = np.random.default_rng(0).normal(0.3, 1, 30)
    assert sign_p(20, 30) == pytest.approx(binomtest(20, 30, alternative="greater").pvalue)
    assert rank_p(values) == pytest.approx(wilcoxon(values, alternative="greater").pvalue, abs=0.01)


def test_a_model_that_knows_the_twins_is_told():
    found = evidence(np.random.default_rng(1).normal(0.6, 1, 200).tolist())
    assert found.p_rank < 0.001 and found.p_sign < 0.001 and found.p_any_time < 0.01
    assert found.decided_after is not None and found.decided_after < 200


def test_the_sequential_test_holds_when_it_is_looked_at_after_each_pair():
    random = np.random.default_rng(2)
    stopped = sum(any_time_p(random.normal(size=150)).min() <= 0.1 for _ in range(200))
    assert stopped <= 33  # 20 are promised at most


def test_a_model_that_prefers_the_other_twin_is_no_proof():
    found = evidence((-np.abs(np.random.default_rng(1).normal(size=50))).tolist())
    assert (found.p_rank, found.p_sign, found.p_any_time, found.decided_after) == (1.0, 1.0, 1.0, None)


def test_ties_and_nothing_tell_nothing():
    assert evidence([0.0] * 5).pairs == 0
    assert evidence([]).p_rank == evidence([0.0]).p_sign == 1.0
    assert evidence([0.0, 1.0, 2.0]).p_sign == evidence([1.0, 2.0]).p_sign == 0.25


def test_scores_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match="expected finite numbers"):
        evidence([1.0, float("nan")])
