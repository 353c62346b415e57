"""What an attacker may do to published pairs before, or while, he trains on them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from protect.verify.reading.pairs import Pairs

GROUPS = ("scraper", "augmentation", "squeeze", "text", "filter", "training", "adaptive")
Captions = tuple[str, ...]  # one picture's
ChangePicture = Callable[[Image.Image], Image.Image]
ChangeCaptions = Callable[[Sequence[Captions]], list[Captions]]
ChangePairs = Callable[[Pairs], Pairs]


@dataclass(frozen=True)
class Countermeasure:
    """One row of the report; a field that is None or empty changes nothing.

    `picture` acts once on each decoded RGB file, as a scraper's storage does; `captions` sees those of the whole
    training set, one tuple a picture, and drops a pair by an empty one; `pairs` is for what needs both.
    `alike` changes the captions of the test as `captions` does those of the training: a row with it, or with
    `picture`, is judged on clean test pairs and on such changed ones, and the better result counts.
    `view` names the training view (VIEWS) used at every step, `lesson` the way of training (LESSONS), `times` how
    many times as many epochs are trained, `needs` what the user must name for the row to run: it is left out, and
    said so, when that is missing; `given` makes the row that can run out of it.
    """

    name: str
    group: str
    help: str
    picture: ChangePicture | None = None
    captions: ChangeCaptions | None = None
    pairs: ChangePairs | None = None
    alike: ChangeCaptions | None = None
    view: str = ""
    lesson: str = ""
    times: int = 1
    needs: str = ""
    given: Callable[[Any], "Countermeasure"] | None = None

    def __post_init__(self) -> None:
        if self.group not in GROUPS:
            raise ValueError(f"group: expected one of {', '.join(GROUPS)}, got {self.group!r}")

    @property
    def judged_alike(self) -> bool:
        return self.picture is not None or self.alike is not None


class Changed(Sequence[np.ndarray]):
    """Pictures that are made when they are asked for, so that a large set never stands in memory."""

    def __init__(self, length: int, make: Callable[[int], np.ndarray]) -> None:
        self.length, self.make = length, make

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(self.length)[index]]
        return self.make(range(self.length)[index])


def losses(before: Pairs, after: Pairs) -> tuple[float, float]:
    """What a countermeasure cost the attacker: the shares of pairs and of caption words it dropped."""
    pairs, words = (max(0.0, 1 - count(after) / max(1, count(before))) for count in (len, _words))
    return pairs, words


def _words(pairs: Pairs) -> int:
    return sum(len(caption.split()) for captions in pairs.captions for caption in captions)
