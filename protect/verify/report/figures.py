"""What a report draws: curves by epoch, bars of what each row gives back, the matrix, learning in mixtures."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import mean

from protect.verify.report.findings import CONTROLS, dropped, most, percents, place
from protect.verify.report.svg import Chart, Line, ticks
from protect.verify.report.tables import percent
from protect.verify.result import MANDATORY, TWIN, Arm, Comparison, recall

SHAPES = ("circle", "square")


@dataclass(frozen=True)
class Bar:
    """What one attacker keeps in a row: the share as drawn (0 to 1 is the whole bar's reach), in words, and where.

    twin: what clean files treated alike keep, drawn likewise; None when that was not run.
    """

    attacker: str
    drawn: float
    share: str
    where: str
    twin: float | None


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


def curves(found: Comparison) -> list[Chart]:
    """Retrieval by epoch for each attacker: the mandatory arms, the weakest row, chance."""
    return [_curve(found, attacker) for attacker in found.attackers]


def curve_arms(found: Comparison) -> list[str]:
    """The rows that are drawn as curves: the mandatory ones, the weakest one, its twin."""
    weakest = found.weakest()
    names = [arm.name for arm in found.arms if arm.name in MANDATORY]
    if weakest is None or weakest.arm in names:
        return names
    return [*names, weakest.arm, *(arm.name for arm in found.group("twin") if arm.name == TWIN + weakest.arm)]


def by_epoch(found: Comparison, arm: str, attacker: str) -> list[tuple[int, tuple[float, ...]]]:
    """Epoch number and R@10 in % of each seed, for as many epochs as every seed has."""
    runs = [run for run in found.runs if (run.arm, run.attacker) == (arm, attacker)]
    epochs = zip(*(run.epochs for run in runs), strict=False)
    return [(results[0].epoch, tuple(100 * result.score for result in results)) for results in epochs]


def _curve(found: Comparison, attacker: str) -> Chart:
    weakest = found.weakest()
    lines, words = [], []
    for arm in curve_arms(found):
        epochs = by_epoch(found, arm, attacker)
        if not epochs:
            continue
        points = tuple((float(epoch), mean(values)) for epoch, values in epochs)
        band = tuple((min(values), max(values)) for _, values in epochs) if len(epochs[0][1]) > 1 else ()
        is_weakest = weakest is not None and weakest.arm == arm
        kind = arm if arm in MANDATORY else "twin" if arm.startswith(TWIN) else "countermeasure"
        lines.append(Line(arm, kind + " weakest" * is_weakest, points, band))
        words.append(f"{arm} ends at {points[-1][1]:.1f} %")
    guess = 100 * recall(found.chance)
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


def bars(found: Comparison) -> list[BarRow]:
    """Every row that counts and the controls, those that give the attacker most first."""
    weakest = found.weakest()
    rows = [
        BarRow(
            arm.name,
            "; drops ".join(text for text in (arm.note, dropped(arm)) if text),
            arm.name in CONTROLS,
            weakest is not None and weakest.arm == arm.name,
            tuple(_bars(found, arm)),
        )
        for arm in _drawn(found)
    ]
    drawn = [row for row in rows if row.bars]
    return sorted(drawn, key=lambda row: max(bar.drawn for bar in row.bars), reverse=True)


def reach(found: Comparison) -> float:
    """The share at the right end of the bars: the clean gain, or more where a row gives more."""
    names = [name for arm in _drawn(found) for name in (arm.name, TWIN + arm.name)]
    shares = [row.share for row in (most(found, name) for name in names) if row is not None]
    return max([1.0, *shares])


def _drawn(found: Comparison) -> list[Arm]:
    return [arm for arm in found.arms if arm.claim or arm.name in CONTROLS]


def _bars(found: Comparison, arm: Arm) -> Iterator[Bar]:
    for attacker in found.attackers:
        row = most(found, arm.name, attacker)
        if row is not None:
            twin = most(found, TWIN + arm.name, attacker)
            drawn, at = (None if one is None else min(1.0, max(0.0, one.share / reach(found))) for one in (row, twin))
            yield Bar(attacker, drawn or 0.0, percent(row.share), place(row), at)


def matrix(found: Comparison, names: list[str]) -> list[tuple[str, list[Cell]]]:
    """Shares by files and attacker, with the heat to colour them."""
    rows = []
    for name in names:
        places = [most(found, name, attacker) for attacker in found.attackers]
        shares = [row.share if row else None for row in places]
        rows.append((name, [Cell(percent(share), min(1.0, max(0.0, share or 0.0))) for share in shares]))
    return rows


def dilution(found: Comparison) -> Chart | None:
    """Learnability gain over the protected share, a line an attacker; None with fewer than two mixtures."""
    lines, words = [], []
    for number, attacker in enumerate(found.attackers):
        gains = [(share, found.learnability(share, attacker, "best")) for share in percents(found)]
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
