"""What a run of unlearning found, as it is kept in unlearn.json."""

import json
from collections.abc import Container
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from protect.unlearn.attacks import Attack
from protect.unlearn.calibration import Calibration
from protect.unlearn.loop import Course
from protect.unlearn.outside import Fall
from protect.unlearn.relearning import Relearning

RESULT = "unlearn.json"
Figures = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Result:
    """A run's outcome; figures are None where they need more data than was given.

    before, after, retrained: see `judge`, by set. Sets: `forget` and `retain` (held-out pairs where there are some),
    `own` (the very pairs to forget, where held-out ones stand for them), `near` (neighbours of what is forgotten),
    `facts` (other facts about the forgotten pictures), `far` (another domain).
    membership: see `attacks`, by moment (before, after, retrained). distance: from the retrained model, see `gap`,
    by moment, and `between` two retrained models. relearning: by model, `after` and `retrained`. texts_kept: share
    of the classes' captions that the original's classes still claim. redirection: of unsafe queries, see
    `redirection`, for methods that take twins. time_share: of the retraining. calibration: of the answers to the
    forget pairs, by moment. receipt: by moment the p-value of the owner's receipt, small where the model was
    trained on what they published. outside: how far the owner's similarities fell, by model, `after` and `retrained`.
    """

    model: str
    method: str
    geometry: str
    pairs: dict[str, int]
    chance: float | None
    before: Figures
    after: Figures
    retrained: Figures | None
    membership: dict[str, dict[str, Attack]] | None
    distance: dict[str, float] | None
    relearning: dict[str, Relearning] | None
    texts_kept: dict[str, float] | None
    redirection: Figures | None
    course: Course
    time_share: float | None
    original: str
    loads: str
    settings: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    calibration: dict[str, Calibration] | None = None
    receipt: dict[str, float] | None = None
    outside: dict[str, Fall] | None = None

    @property
    def forgotten(self) -> str:
        """The name of the set that shows whether it is forgotten."""
        return forgotten_set(self.after, self.chance is not None)


def forgotten_set(sets: Container[str], classes: bool) -> str:
    """The set that shows whether it is forgotten: held-out pairs of a forgotten class, else the very pairs."""
    return "own" if "own" in sets and not classes else "forget"


def load_result(folder: Path) -> Result:
    """The result that a run left in its folder; raises ValueError when there is none."""
    try:
        values = json.loads((folder / RESULT).read_text())
        if values["membership"] is not None:
            values["membership"] = {
                moment: {name: Attack(**one) for name, one in found.items()}
                for moment, found in values["membership"].items()
            }
        if values["relearning"] is not None:
            values["relearning"] = {name: _relearning(one) for name, one in values["relearning"].items()}
        if values.get("calibration") is not None:
            values["calibration"] = {moment: _calibration(one) for moment, one in values["calibration"].items()}
        if values.get("outside") is not None:
            values["outside"] = {name: Fall(**one) for name, one in values["outside"].items()}
        return Result(**(values | {"course": Course(**values["course"])}))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        found = "none" if isinstance(error, OSError) else "a file of another kind or version"
        raise ValueError(
            f"{folder}: expected the {RESULT} of an unlearning run, found {found}; run `protect unlearn` with this "
            "folder as --out first"
        ) from error


def _calibration(values: dict[str, Any]) -> Calibration:
    points = tuple((float(sure), float(right), int(count)) for sure, right, count in values["points"])
    return Calibration(points, values["error"])


def _relearning(values: dict[str, Any]) -> Relearning:
    points = tuple((int(steps), float(known)) for steps, known in values.pop("points"))
    assert set(values) == {f.name for f in fields(Relearning)} - {"points"}
    return Relearning(points, **values)
