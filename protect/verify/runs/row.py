"""A row of the report before it is run: how its pairs are made, how it trains, what is said of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from protect.settings.verify import VerifySettings
from protect.verify.countermeasures.base import PLAIN, Regime
from protect.verify.reading.differences import Differences
from protect.verify.reading.pairs import Pairs
from protect.verify.records import Group
from protect.verify.runs.material import Material


class Made(NamedTuple):
    """What a row trains on; a file of test pairs transformed as these were; shares of pairs and words dropped."""

    pairs: Pairs
    test: Path | None = None
    dropped: tuple[float, float] = (0.0, 0.0)


def said(text: str, differences: Differences) -> str:
    """A note that does not depend on the files, by `partial`."""
    return text


def never(differences: Differences) -> None:
    """The row always runs."""


@dataclass(frozen=True)
class Row:
    """One row; its functions must go through pickle.

    make: the pairs to train on. content: what decides them beside the clean files, for a hash; rows of equal content
    share their trainings. reference: the source of the pictures, CLEAN, PROTECTED or a further arm. note: what a
    reader must know of it. needless: why it would only repeat another row, None where it does not. The other fields
    are those of `Arm`, `Countermeasure` and `Regime`.
    """

    name: str
    group: Group
    make: Callable[[Material, VerifySettings], Made]
    content: Callable[[Material, VerifySettings], list[Any]]
    reference: str
    note: Callable[[Differences], str]
    deed: str = ""
    claim: bool = False
    needless: Callable[[Differences], str | None] = never
    regime: Regime = PLAIN
    transforms_test: bool = False
    strong: bool = False
    slow: bool = False
    percent: float | None = None
    with_owner: bool = True
