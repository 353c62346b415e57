"""The report as one offline HTML page: no script, no link to the outside, colours by the reader's choice."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from protect.report.pages import fill
from protect.report.tables import Table
from protect.settings.verify import required_limit
from protect.verify.records import PROTECTED, Group
from protect.verify.report.contents import (
    arms_table,
    checks_table,
    classes_table,
    data_table,
    dilution_table,
    distortion_table,
    duration,
    explained,
    hashes,
    settings_table,
    transfer_table,
)
from protect.verify.report.figures import bars, by_epoch, curve, curve_arms, curves, dilution, matrix, reach
from protect.verify.report.findings import notes, untested
from protect.verify.report.samples import GAIN, SamplePair, show
from protect.verify.report.summary import best_control, first_lines, headline, most, place
from protect.verify.result import Comparison

TEMPLATES = Path(__file__).parent / "templates"


def to_page(comparison: Comparison, samples: Sequence[SamplePair] = ()) -> str:
    """The whole page; it holds the clean pictures of the samples, so it is for their owner only."""
    learned, weakest = dilution(comparison), comparison.weakest()
    transfer = transfer_table(comparison)
    return fill(
        TEMPLATES,
        "report.html",
        comparison=comparison,
        has_controls=bool(comparison.group(Group.CONTROL)),
        headline=headline(comparison),
        weakest=weakest,
        first_curve=None if weakest is None else _first_curve(comparison, weakest.attacker),
        first_lines=list(first_lines(comparison)),
        limit=_limit(comparison),
        control=best_control(comparison),
        own=most(comparison, PROTECTED),
        place=place,
        notes=list(notes(comparison)),
        curves=[chart.draw() for chart in curves(comparison)],
        curve_table=_curve_table(comparison),
        explained=explained(comparison),
        arms=arms_table(comparison, comparison.group(Group.MANDATORY), "The six rows that a verdict needs"),
        every_row=arms_table(comparison, comparison.arms, "Every row"),
        transfer=transfer,
        matrix=matrix(comparison, [row[0] for row in transfer.rows]),
        bars=bars(comparison),
        reach=reach(comparison),
        dilution=dilution_table(comparison) if comparison.group(Group.MIXTURE) else None,
        dilution_chart=learned and learned.draw(),
        classes=classes_table(comparison),
        distortion=distortion_table(comparison),
        checks=checks_table(comparison),
        samples=[show(pair) for pair in samples],
        gain=GAIN,
        untested=untested(comparison),
        data=data_table(comparison),
        settings=settings_table(comparison),
        hashes=hashes(comparison),
        duration=duration(comparison.seconds),
    )


def _first_curve(comparison: Comparison, attacker: str) -> str:
    chart = curve(comparison, attacker)
    return replace(chart, name=f"Weakest row, {chart.name}").draw()


def _limit(comparison: Comparison) -> float | None:
    """The share that was required at most."""
    require = comparison.settings.get("require")
    return required_limit(require) if require else None


def _curve_table(comparison: Comparison) -> Table:
    """The curves as figures, a row for each arm and attacker, a column for each epoch."""
    drawn = [
        (arm, attacker, by_epoch(comparison, arm, attacker))
        for attacker in comparison.attackers
        for arm in curve_arms(comparison)
    ]
    numbers = sorted({epoch for *_, epochs in drawn for epoch, _ in epochs})
    rows = []
    for arm, attacker, epochs in drawn:
        means = {epoch: f"{sum(values) / len(values):.1f}" for epoch, values in epochs}
        rows.append((arm, attacker, *(means.get(number, "-") for number in numbers)))
    header = ("row", "attacker", *(f"epoch {number}" for number in numbers))
    return Table("R@10 in % after each epoch, mean of both directions and of the seeds", header, tuple(rows), names=2)
