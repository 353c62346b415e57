"""What attackers retained in the verifier's own rows, by how much of the noise and of the words a row leaves.

The figures stand in measured.json, which benchmarks/platforms.py writes from the result files.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

NEAR = 0.02  # of the noise: nearer rows are taken together
WHOLE, NONE = 0.99, 0.01  # shares of the words from which on all are there, or up to which none are


@dataclass(frozen=True)
class Row:
    """A row of the verifier: what it does, the shares of noise and words it leaves, the gain that attackers retained.

    `retained` has the least and the most of the attackers' families, 1 being as much as from clean files.
    """

    name: str
    noise: float
    words: float
    retained: tuple[float, float]


@dataclass(frozen=True)
class Outlook:
    """What to expect by the rows nearest to a measurement: the least and the most that attackers retained in them."""

    rows: tuple[str, ...]
    retained: tuple[float, float]


@cache
def measured_rows() -> tuple[Row, ...]:
    """Every row whose noise was measured, and how."""
    stored = json.loads((files("protect.jobs.check") / "measured.json").read_text())
    return tuple(Row(r["name"], r["noise"], r["words"], tuple(r["retained"])) for r in stored["rows"])


@cache
def measured_how() -> str:
    """The setting of the measurements, in words."""
    return str(json.loads((files("protect.jobs.check") / "measured.json").read_text())["how"])


def outlook(noise: float, words: float) -> Outlook:
    """The rows that leave as many words, next below and next above in noise."""
    exact = 1.0 if words >= WHOLE else 0.0 if words <= NONE else 0.5
    rows = [row for row in measured_rows() if row.words == exact]
    below = [row for row in rows if row.noise <= noise + NEAR]
    above = [row for row in rows if row.noise >= noise - NEAR]
    near = _nearest(below, noise) + _nearest(above, noise)
    names = tuple(dict.fromkeys(row.name for row in near))
    return Outlook(names, (min(row.retained[0] for row in near), max(row.retained[1] for row in near)))


def _nearest(rows: Sequence[Row], noise: float) -> list[Row]:
    if not rows:
        return []
    distance = min(abs(row.noise - noise) for row in rows)
    return [row for row in rows if abs(row.noise - noise) <= distance + NEAR]
