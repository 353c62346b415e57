"""Tests whose false-alarm rate is guaranteed by fair coins alone, whatever the model and however scores are spread.

`differences` are scores of the published twins minus those of their twins that were kept back. Where the model does
not depend on the coins, the sign of each is a fair coin, given all magnitudes.
"""

from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

FLIPS = 9999  # random signs that the rank test is compared with
TOGETHER = 1000  # of them at a time
HALF = 0.5


@dataclass(frozen=True)
class Evidence:
    """What the differences say against "this model never saw the published twins".

    p_rank: of the signed ranks (Wilcoxon's statistic, compared with drawn signs), the one to decide by.
    p_sign: exact, of the signs alone. p_any_time: of the sequential test, which holds at whatever pair one stops;
    decided_after: pairs after which it fell below alpha (None: never). wins: pairs whose published twin scored
    higher, of `pairs` that did not tie.
    """

    pairs: int
    wins: int
    p_rank: float
    p_sign: float
    p_any_time: float
    decided_after: int | None


def evidence(differences: Sequence[float], alpha: float = 0.05, seed: int = 0) -> Evidence:
    """All tests at once; each p-value is valid on its own.

    The order of the differences must not depend on the coins. Raises ValueError on numbers that are none.
    """
    values = np.asarray(differences, np.float64)
    if not np.isfinite(values).all():
        raise ValueError("scores: expected finite numbers, found others; ask the model again")
    values = values[values != 0]  # a tie tells nothing, and leaves the other coins fair
    wins = int((values > 0).sum())
    path = any_time_p(values)
    decided = np.flatnonzero(path <= alpha)
    return Evidence(
        pairs=len(values),
        wins=wins,
        p_rank=rank_p(values, seed),
        p_sign=sign_p(wins, len(values)),
        p_any_time=float(path[-1]) if len(path) else 1.0,
        decided_after=int(decided[0]) + 1 if len(decided) else None,
    )


def sign_p(wins: int, pairs: int) -> float:
    """Probability that so many fair coins or more fall well (the exact binomial test)."""
    return float(binom.sf(wins - 1, pairs, HALF))


def rank_p(values: np.ndarray, seed: int = 0) -> float:
    """Share of drawn signs whose signed ranks sum up to as much (randomisation test; Wilcoxon 1945).

    The drawn ones and the true ones are counted together, which makes it exact and not an estimate.
    """
    ranks = _ranks(np.abs(values))
    found, random, more = float((np.sign(values) * ranks).sum()), np.random.default_rng(seed), 0
    for start in range(0, FLIPS, TOGETHER):
        signs = random.integers(0, 2, (min(TOGETHER, FLIPS - start), len(values)), np.int8)
        sums = (2.0 * signs - 1) @ ranks
        more += int((sums >= found - 1e-9).sum())
    return (1 + more) / (1 + FLIPS)


def any_time_p(values: np.ndarray) -> np.ndarray:
    """After each pair the p-value of a test that may stop there or go on: one over the largest wealth so far.

    A gambler bets on each sign what the earlier ones suggest, more where the magnitude is large among those so far.
    On fair coins nobody's wealth ever grows k-fold with a probability above 1/k (Ville's inequality).
    """
    wealth = most = 1.0
    won, seen, path = 0.0, list[float](), []  # `seen`: magnitudes in order
    for value in values:
        insort(seen, abs(value))
        weight = bisect_right(seen, abs(value)) / len(seen)  # its rank: known before the sign is looked at
        bet = max(0.0, won / len(seen))
        step = weight * (1 if value > 0 else -1)
        wealth *= 1 + bet * step
        won += step
        most = max(most, wealth)
        path.append(1 / most)
    return np.asarray(path)


def _ranks(magnitudes: np.ndarray) -> np.ndarray:
    """Ranks from 1; equal magnitudes share the mean of theirs."""
    _, place, count = np.unique(magnitudes, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return (last - (count - 1) / 2)[place]
