"""The verdict on one run of unlearning as an offline HTML page, with pictures."""

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protect.report.pages import fill
from protect.report.svg import Chart, Line
from protect.report.tables import Table
from protect.unlearn.judge import knowledge
from protect.unlearn.outside import to_line
from protect.unlearn.result import Result
from protect.unlearn.run import CHANGE, PICTURE
from protect.unlearn.verdict import KEEP, checks, headline, mark

TEMPLATES = Path(__file__).parent / "templates"
STYLES = {"before": "clean", "after": "protected", "retrained": "random-noise"}  # lines of the style sheet


@dataclass(frozen=True)
class Known:
    """What is known of one set at each moment, 0 to 1."""

    name: str
    bars: tuple[tuple[str, float], ...]


def to_page(result: Result, out: Path) -> str:
    """The whole page; the pictures of similarities are taken from the run's folder."""
    return fill(
        TEMPLATES,
        "unlearn.html",
        result=result,
        headline=headline(result),
        checks=Table(
            "What was asked",
            ("check", "outcome", "found"),
            tuple((c.name, mark(c), c.answer) for c in checks(result)),
            3,
        ),
        known=known(result),
        picture=_embedded(out / PICTURE),
        change=_embedded(out / CHANGE),
        outside=None if result.outside is None else to_line(result.outside),
        moments=list(_sides(result)),
        relearning=None if result.relearning is None else relearning_chart(result).draw(),
        membership=membership_table(result),
        calibration=None if result.calibration is None else calibration_chart(result).draw(),
        settings=settings_table(result),
    )


def known(result: Result) -> list[Known]:
    """The sets that are to be forgotten, then those that are to be kept."""
    names = {result.forgotten: "pairs to forget"} | KEEP
    sides = _sides(result)
    return [
        Known(words, tuple((moment, knowledge(sets[name])) for moment, sets in sides.items()))
        for name, words in names.items()
        if name in result.after
    ]


def relearning_chart(result: Result) -> Chart:
    """What is known of the forget pairs by steps of learning them again."""
    assert result.relearning is not None
    drawn = {"after": "after forgetting", "retrained": "retrained"}
    courses = {name: result.relearning[name] for name in drawn}
    last = courses["after"].points[-1][0]
    target = 100 * courses["after"].target
    lines = tuple(
        Line(drawn[name], STYLES[name], tuple((float(x), 100 * y) for x, y in one.points), marked=True)
        for name, one in courses.items()
    )
    words = [f"{line.name} goes from {line.points[0][1]:.0f} to {line.points[-1][1]:.0f} %" for line in lines]
    return Chart(
        name="Learning the pairs again",
        text=f"{'; '.join(words)}; back at {target:.0f} %.",
        x_title="steps on the forget pairs",
        y_title="recognised, %",
        lines=lines,
        x_ticks=tuple(float(last * part) / 4 for part in range(5)),
        levels=((f"back: {target:.0f} %", target),),
    )


def calibration_chart(result: Result) -> Chart:
    """The reliability curve of each moment, beside the one of a model that is right as often as it is sure."""
    assert result.calibration is not None
    lines = [
        Line(moment, STYLES[moment], tuple((100 * sure, 100 * right) for sure, right, _ in curve.points), marked=True)
        for moment, curve in result.calibration.items()
    ]
    words = [f"{moment}: off by {100 * curve.error:.0f} points" for moment, curve in result.calibration.items()]
    return Chart(
        name="How sure, and how often right",
        text=f"Mean distance between the two, {', '.join(words)}.",
        x_title="how sure the model is, %",
        y_title="how often it is right, %",
        lines=(*lines, Line("as sure as right", "level", ((0.0, 0.0), (100.0, 100.0)))),
        x_ticks=(0.0, 25.0, 50.0, 75.0, 100.0),
    )


def membership_table(result: Result) -> Table | None:
    """Every attack on every model."""
    if result.membership is None:
        return None
    moments = list(result.membership)
    names = dict.fromkeys(name for found in result.membership.values() for name in found)
    rows = []
    for name in names:
        cells = [result.membership[moment].get(name) for moment in moments]
        rows.append((name, *("-" if one is None else f"{one.auc:.3f} ± {one.error:.3f}" for one in cells)))
    return Table("AUC and its standard error: 0.5 tells nothing", ("attack", *moments), tuple(rows))


def settings_table(result: Result) -> Table:
    """Settings, data and versions, as they were used."""
    flat: dict[str, Any] = {
        "model": result.model,
        "original": result.original[:16],
        **result.settings,
        **result.versions,
    }
    losses = flat.pop("losses", {})
    rows = [(name, _shown(value)) for name, value in (flat | losses).items()]
    return Table("How it was made", ("what", "value"), tuple(rows), 2)


def _sides(result: Result) -> dict[str, dict[str, dict[str, float]]]:
    sides = {"before": result.before, "after": result.after, "retrained": result.retrained}
    return {name: sets for name, sets in sides.items() if sets is not None}


def _embedded(picture: Path) -> str | None:
    return base64.b64encode(picture.read_bytes()).decode() if picture.is_file() else None


def _shown(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "-"
    return "-" if value is None else str(value)
