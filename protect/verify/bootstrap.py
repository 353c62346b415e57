"""How far figures could lie from the truth because the test set is only a sample of pictures."""

from functools import cache

import numpy as np
from jaxtyping import Float

from protect.seeds import derive

DRAWS = 500
Values = Float[np.ndarray, " pictures"]


@cache
def resamples(count: int) -> Float[np.ndarray, "draws pictures"]:
    """Weights of `count` pictures in DRAWS samples with replacement; each row adds up to 1."""
    random = np.random.default_rng(derive(0, "bootstrap", count))
    return random.multinomial(count, np.full(count, 1 / count), DRAWS) / count


def retained_error(part: Values, whole: Values, chance: float) -> float:
    """Standard error of (mean of part - chance) / (mean of whole - chance); both are of the same pictures."""
    weights = resamples(len(whole))
    return float(np.std((weights @ part - chance) / (weights @ whole - chance)))


def difference_error(one: Values, other: Values, whole: Values, chance: float) -> float:
    """Standard error of the difference of two such ratios with the same whole."""
    weights = resamples(len(whole))
    return float(np.std((weights @ (one - other)) / (weights @ whole - chance)))
