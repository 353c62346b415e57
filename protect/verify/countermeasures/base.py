"""What attackers may do to published pairs before, or while, they train on them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import sqrt
from typing import Any

import numpy as np
from PIL import Image

from protect.settings.verify import VerifySettings
from protect.verify.reading.pairs import Pairs

Captions = tuple[str, ...]  # one picture's
ChangePicture = Callable[[Image.Image], Image.Image]
ChangeCaptions = Callable[[Sequence[Captions]], list[Captions]]
ChangePairs = Callable[[Pairs], Pairs]


class Kind(StrEnum):
    """What a countermeasure acts on."""

    SCRAPER = "scraper"
    AUGMENTATION = "augmentation"
    SQUEEZE = "squeeze"
    TEXT = "text"
    FILTER = "filter"
    TRAINING = "training"
    ADAPTIVE = "adaptive"


@dataclass(frozen=True)
class Regime:
    """How a row trains, where it differs from the other rows.

    view: the training view used at every step (one of VIEWS), None for that of all rows. defence: the way of training
    (one of DEFENCES), None for plain. times: as many times as many epochs. batch: pairs in a batch, None for that of
    all rows; as many pairs are seen. resolution: times the pixels along a side.
    """

    view: str | None = None
    defence: str | None = None
    times: int = 1
    batch: int | None = None
    resolution: float = 1.0

    def applied(self, settings: VerifySettings, size: int) -> VerifySettings:
        """The settings of a row whose pictures have `size` pixels along a side.

        As many pairs are seen in batches of any size; the learning rate grows with the square root of the batch, as
        Adam wants it (Malladi et al. 2022, arXiv 2205.10287).
        """
        batch = self.batch or settings.batch
        return replace(
            settings,
            epochs=self.times * settings.epochs,
            batch=batch,
            learning_rate=settings.learning_rate * sqrt(batch / settings.batch),
            augment=self.view or settings.augment,
            size=settings.size if self.resolution == 1 else size,
        )


PLAIN = Regime()


@dataclass(frozen=True)
class Countermeasure:
    """One row of the report; a field that is None changes nothing. Functions must go through pickle.

    help: what is done to the files. deed: the same in short, to be read after "an attacker who".

    `picture` acts once on each decoded RGB file, as a scraper's storage does; `captions` sees those of the whole
    training set, one tuple a picture, and drops a pair by an empty one; `pairs` is for what needs both.
    `test_captions` changes the captions of the test as `captions` does those of the training: a row with it, or with
    `picture`, is judged on clean test pairs and on the transformed ones, and the better result counts.

    `setting` names the setting that the row cannot run without, and `from_setting` makes the row that can from its
    value; `from_clean` makes it from the clean pairs, for attackers who have some of them.

    amount: leaves fewer captions or pairs to train on, so that the matched control is as many clean ones.

    strong: known to undo protections of this kind; the report says when such a row was not run. slow: needs more
    steps than plain training to learn as much, from clean files too.
    """

    name: str
    kind: Kind
    help: str
    deed: str
    picture: ChangePicture | None = None
    captions: ChangeCaptions | None = None
    pairs: ChangePairs | None = None
    test_captions: ChangeCaptions | None = None
    regime: Regime = PLAIN
    setting: str | None = None
    from_setting: Callable[[Any], "Countermeasure"] | None = None
    from_clean: Callable[[Pairs], "Countermeasure"] | None = None
    amount: bool = False
    strong: bool = False
    slow: bool = False

    @property
    def transforms_test(self) -> bool:
        return self.picture is not None or self.test_captions is not None

    @property
    def has_control(self) -> bool:
        """Whether clean files can have the same: not where they are needed beside the published ones."""
        return self.amount or self.from_clean is None


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
    """What a countermeasure cost the attackers: the shares of pairs and of caption words it dropped."""
    pairs, words = (max(0.0, 1 - count(after) / max(1, count(before))) for count in (len, _words))
    return pairs, words


def _words(pairs: Pairs) -> int:
    return sum(len(caption.split()) for captions in pairs.captions for caption in captions)
