"""What a report draws: curves by epoch, bars of what each row gives back, the matrix, learning in mixtures."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import mean

from protect.report.svg import Chart, Line, ticks
from protect.report.tables import percent
from protect.verify.records import BEST, MANDATORY, MATCHED, RECALL, Arm, Group, judged_by
from protect.verify.report.findings import dropped, percents
from protect.verify.report.summary import CONTROLS, most, place
from protect.verify.result import Comparison

SHAPES = ("circle", "square")


@dataclass(frozen=True)
class Bar:
    """What one attacker retains in a row: the share as drawn (0 to 1 is the whole bar's reach), in words, and where.

    matched: what the matched control retains, drawn on the same scale; None when that was not run.
    """

    attacker: str
    drawn: float
    share: str
    where: str
    matched: float | None


@dataclass(frozen=True)
class BarRow:
    name: str
    note: str
    control: bool
    weakest: bool
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Cell:
    """One place of the transfer matrix: share in words, and its heat from 0 to 1."""

    share: str
    heat: float


def curves(comparison: Comparison) -> list[Chart]:
    """Retrieval by epoch for each attacker: the mandatory rows, the weakest one, chance."""
    return [curve(comparison, attacker) for attacker in comparison.attackers]


def curve_arms(comparison: Comparison) -> list[str]:
    """The rows that are drawn as curves: the mandatory ones, the weakest one, its matched control."""
    weakest = comparison.weakest()
    names = [arm.name for arm in comparison.arms if arm.name in MANDATORY]
    if weakest is None or weakest.arm in names:
        return names
    return [
        *names,
        weakest.arm,
        *(arm.name for arm in comparison.group(Group.CONTROL) if arm.name == MATCHED + weakest.arm),
    ]


def by_epoch(comparison: Comparison, arm: str, attacker: str) -> list[tuple[int, tuple[float, ...]]]:
    """Epoch number and R@10 in % of each seed, for as many epochs as every seed has."""
    runs = [run for run in comparison.runs if (run.arm, run.attacker) == (arm, attacker)]
    epochs = zip(*(run.epochs for run in runs), strict=False)
    return [(results[0].epoch, tuple(100 * result.score for result in results)) for results in epochs]


def curve(comparison: Comparison, attacker: str) -> Chart:
    """One attacker's learning curves."""
    weakest = comparison.weakest()
    lines, words = [], []
    for arm in curve_arms(comparison):
        epochs = by_epoch(comparison, arm, attacker)
        if not epochs:
            continue
        points = tuple((float(epoch), mean(values)) for epoch, values in epochs)
        band = tuple((min(values), max(values)) for _, values in epochs) if len(epochs[0][1]) > 1 else ()
        is_weakest = weakest is not None and weakest.arm == arm
        kind = arm if arm in MANDATORY else "control" if arm.startswith(MATCHED) else "countermeasure"
        lines.append(Line(arm, kind + " weakest" * is_weakest, points, band))
        words.append(f"{arm} ends at {points[-1][1]:.1f} %")
    guess = 100 * judged_by(comparison.chance, RECALL)
    last = max((line.points[-1][0] for line in lines), default=1.0)
    return Chart(
        name=f"{attacker}: R@10 by epoch",
        text=f"{'; '.join(words)}; chance is {guess:.1f} %.",
        x_title="epoch",
        y_title="R@10 %, both directions",
        lines=tuple(lines),
        x_ticks=_epochs(last),
        levels=((f"chance {guess:.1f} %", guess),),
    )


def _epochs(last: float) -> tuple[float, ...]:
    """Whole epochs to write below the axis, the last one always at its end."""
    whole = [tick for tick in ticks(0.0, last) if tick == int(tick) and tick < last]
    step = whole[1] if len(whole) > 1 else last
    return (*(tick for tick in whole if last - tick >= step / 2), last)


def bars(comparison: Comparison) -> list[BarRow]:
    """Every row that counts and the controls, those that give the attacker most first."""
    weakest = comparison.weakest()
    rows = [
        BarRow(
            arm.name,
            "; drops ".join(text for text in (arm.note, dropped(arm)) if text),
            arm.name in CONTROLS,
            weakest is not None and weakest.arm == arm.name,
            tuple(_bars(comparison, arm)),
        )
        for arm in _drawn(comparison)
    ]
    drawn = [row for row in rows if row.bars]
    return sorted(drawn, key=lambda row: max(bar.drawn for bar in row.bars), reverse=True)


def reach(comparison: Comparison) -> float:
    """The share at the right end of the bars: the clean gain, or more where a row gives more."""
    names = [name for arm in _drawn(comparison) for name in (arm.name, MATCHED + arm.name)]
    shares = [row.retained for row in (most(comparison, name) for name in names) if row is not None]
    return max([1.0, *shares])


def _drawn(comparison: Comparison) -> list[Arm]:
    return [arm for arm in comparison.arms if arm.claim or arm.name in CONTROLS]


def _bars(comparison: Comparison, arm: Arm) -> Iterator[Bar]:
    for attacker in comparison.attackers:
        row = most(comparison, arm.name, attacker)
        if row is not None:
            both, whole = (row, most(comparison, MATCHED + arm.name, attacker)), reach(comparison)
            drawn, at = (None if one is None else min(1.0, max(0.0, one.retained / whole)) for one in both)
            yield Bar(attacker, drawn or 0.0, percent(row.retained), place(row), at)


def matrix(comparison: Comparison, names: list[str]) -> list[tuple[str, list[Cell]]]:
    """Shares by files and attacker, with the heat to colour them."""
    rows = []
    for name in names:
        places = [most(comparison, name, attacker) for attacker in comparison.attackers]
        shares = [row.retained if row else None for row in places]
        rows.append((name, [Cell(percent(share), min(1.0, max(0.0, share or 0.0))) for share in shares]))
    return rows


def dilution(comparison: Comparison) -> Chart | None:
    """Learnability gain over the protected share, a line an attacker; None with fewer than two mixtures."""
    lines, words = [], []
    for number, attacker in enumerate(comparison.attackers):
        gains = [(share, comparison.learnability(share, attacker, BEST)) for share in percents(comparison)]
        points = tuple((share, 100 * gain) for share, gain in gains if gain is not None)
        if len(points) > 1:
            shape = SHAPES[number % len(SHAPES)]
            lines.append(Line(attacker, f"attacker-{number % 4} {shape}", points, marked=True))
            words.append(f"{attacker}: " + ", ".join(f"{y:.0f} % at {x:g} %" for x, y in points))
    if not lines:
        return None
    return Chart(
        name="Learnability gain by protected share",
        text="; ".join(words) + ".",
        x_title="protected share of the training set, %",
        y_title="learned of the owner's pairs, %",
        lines=tuple(lines),
        x_ticks=(0.0, 25.0, 50.0, 75.0, 100.0),
        levels=(("as if clean", 100.0), ("nothing", 0.0)),
    )
