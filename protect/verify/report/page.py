"""The report as one offline HTML page: no script, no link to the outside, colours by the reader's choice."""

from collections.abc import Sequence
from pathlib import Path

from protect.settings.verify import requirement
from protect.verify.report.contents import (
    arms_table,
    checks_table,
    data_table,
    dilution_table,
    distortion_table,
    duration,
    explained,
    hashes,
    making_table,
    transfer_table,
)
from protect.verify.report.figures import bars, by_epoch, curve_arms, curves, dilution, matrix, reach
from protect.verify.report.findings import best_control, headline, most, notes, place, untested
from protect.verify.report.samples import GAIN, SamplePair, show
from protect.verify.report.tables import Table, percent
from protect.verify.result import PROTECTED, Comparison

TEMPLATES = Path(__file__).parent / "templates"


def to_page(found: Comparison, samples: Sequence[SamplePair] = ()) -> str:
    """The whole page; it holds the clean pictures of the samples, so it is for their owner only."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = percent
    learned = dilution(found)
    transfer = transfer_table(found)
    page = environment.get_template("report.html").render(
        found=found,
        headline=headline(found),
        weakest=found.weakest(),
        limit=_limit(found),
        control=best_control(found),
        own=most(found, PROTECTED),
        place=place,
        notes=list(notes(found)),
        curves=[chart.draw() for chart in curves(found)],
        curve_table=_curve_table(found),
        explained=explained(found),
        arms=arms_table(found, found.group("mandatory"), "The six arms that a verdict needs"),
        every_row=arms_table(found, found.arms, "Every row"),
        transfer=transfer,
        matrix=matrix(found, [row[0] for row in transfer.rows]),
        bars=bars(found),
        reach=reach(found),
        dilution=dilution_table(found) if found.group("dilution") else None,
        dilution_chart=learned and learned.draw(),
        distortion=distortion_table(found),
        checks=checks_table(found),
        samples=[show(pair) for pair in samples],
        gain=GAIN,
        untested=untested(found),
        data=data_table(found),
        making=making_table(found),
        hashes=hashes(found),
        duration=duration(found.seconds),
    )
    return page.replace(" %", "\N{NO-BREAK SPACE}%")


def _limit(found: Comparison) -> float | None:
    """The share that was required at most."""
    require = found.settings.get("require")
    return requirement(require)[1] if require else None


def _curve_table(found: Comparison) -> Table:
    """The curves as figures, a row for each arm and attacker, a column for each epoch."""
    drawn = [
        (arm, attacker, by_epoch(found, arm, attacker)) for attacker in found.attackers for arm in curve_arms(found)
    ]
    numbers = sorted({epoch for *_, epochs in drawn for epoch, _ in epochs})
    rows = []
    for arm, attacker, epochs in drawn:
        means = {epoch: f"{sum(values) / len(values):.1f}" for epoch, values in epochs}
        rows.append((arm, attacker, *(means.get(number, "-") for number in numbers)))
    header = ("row", "attacker", *(f"epoch {number}" for number in numbers))
    return Table("R@10 in % after each epoch, mean of both directions and of the seeds", header, tuple(rows), names=2)
