"""Which rows are run, in which order, and what is left out when there is not enough time for all."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from math import ceil

from protect.settings.verify import VerifySettings
from protect.verify.countermeasures import COUNTERMEASURES, STANDARD, Countermeasure
from protect.verify.countermeasures.base import Kind
from protect.verify.reading.differences import Differences
from protect.verify.records import MATCHED, Group
from protect.verify.runs.build import countermeasure_row, further_row, mixture_rows
from protect.verify.runs.controls import CONTROLS
from protect.verify.runs.row import Row

LEAST_EPOCHS = 3
LEAST_BATCHES = 4  # in an epoch
CONTROLLED = "controls"  # among countermeasures: the matched controls of all others
SHARES = (0.75, 0.5, 0.35, 0.25)  # of the pairs, when even fewer epochs do not fit


@dataclass(frozen=True)
class Plan:
    """What is run: rows in order, seeds a row, epochs, pairs to train on (None: all); what is not, in words."""

    rows: tuple[Row, ...]
    seeds: int
    epochs: int
    pairs: int | None
    left_out: tuple[str, ...] = ()

    def only(self, names: Iterable[str]) -> "Plan":
        """With the rows of these names."""
        wanted = set(names)
        return replace(self, rows=tuple(row for row in self.rows if row.name in wanted))


def whole_plan(settings: VerifySettings, arms: Iterable[str]) -> Plan:
    """Everything that was asked for: mandatory rows, further arms, countermeasures, mixtures.

    Raises ValueError for a countermeasure that does not exist.
    """
    names, left_out = chosen(settings.countermeasures, set_for(settings)), list[str]()
    for name in [*names]:
        setting = COUNTERMEASURES[name.removeprefix(MATCHED)].setting
        if setting is not None and getattr(settings, setting) is None:
            names.remove(name)
            if not name.startswith(MATCHED):
                left_out.append(f"{name}: needs --{setting.replace('_', '-')}")
    left_out = [*_not_asked_for(names), *left_out]
    rows = [control.row for control in CONTROLS]
    rows += map(further_row, arms)
    rows += map(countermeasure_row, names)
    for share in sorted({share for share in settings.mix if share < 1}):
        rows += mixture_rows(round(100 * share, 6))
    return Plan(tuple(rows), settings.seeds, settings.epochs, settings.limit, tuple(left_out))


def _not_asked_for(names: Sequence[str]) -> Iterator[str]:
    """The other countermeasures, a line for each kind."""
    others = [row for name, row in COUNTERMEASURES.items() if name not in names]
    for kind, rows in groupby(sorted(others, key=lambda row: row.kind), key=lambda row: row.kind):
        yield f"{kind} rows that were not asked for: {', '.join(row.name for row in rows)}"


def set_for(settings: VerifySettings) -> list[str]:
    """The countermeasures that a setting was given for, such as the weights they need."""
    rows = [row for row in COUNTERMEASURES.values() if row.setting is not None and row.from_setting is not None]
    return [row.name for row in rows if row.setting and getattr(settings, row.setting) is not None]


def chosen(names: Sequence[str], given: Sequence[str] = ()) -> list[str]:
    """Countermeasures by name, in their own order; "standard", "all" and "none" stand for several.

    "standard" includes those of `given`. "controls" adds the matched controls of all chosen rows that change more
    than words.
    Each is followed by its matched control, clean:NAME, where that is asked for, where more epochs are trained than
    for the clean files, or where other captions are trained on, which may be fewer. What needs the clean pairs beside
    the published ones, in order to change pictures, has no control.
    """
    sets: dict[str, Sequence[str]] = {
        "standard": (*STANDARD, *given),
        "all": tuple(COUNTERMEASURES),
        "none": (),
        CONTROLLED: (),
    }
    controls = [MATCHED + name for name, row in COUNTERMEASURES.items() if row.has_control]
    if unknown := sorted(set(names) - {*sets, *COUNTERMEASURES, *controls}):
        known = ", ".join([*sets, *COUNTERMEASURES, f"{MATCHED}NAME"])
        raise ValueError(f"countermeasures: expected some of {known}; got {', '.join(unknown)}")
    wanted = {one for name in names for one in sets.get(name, (name,))}
    needs_control = _changes_more_than_words if CONTROLLED in names else _is_apart
    wanted |= {MATCHED + name for name in wanted & {*COUNTERMEASURES} if needs_control(COUNTERMEASURES[name])}
    ordered = [*STANDARD, *(name for name in COUNTERMEASURES if name not in STANDARD)]
    return [one for name in ordered for one in (name, MATCHED + name) if one in wanted]


def _is_apart(row: Countermeasure) -> bool:
    """Whether the plain clean row says nothing of it: more epochs, or other captions."""
    return row.regime.times > 1 or (row.amount and row.kind is Kind.TEXT)


def _changes_more_than_words(row: Countermeasure) -> bool:
    return row.has_control and (row.amount or row.kind not in (Kind.TEXT, Kind.FILTER))


def strong_not_run(rows: Iterable[Row]) -> list[str]:
    """Countermeasures that are known to undo protections of this kind and have no row here."""
    names = {row.name for row in rows}
    return [name for name, row in COUNTERMEASURES.items() if row.strong and name not in names]


def _is_weak(row: Row) -> bool:
    return row.group in (Group.COUNTERMEASURE, Group.CONTROL) and not row.strong


def _is_mixture(row: Row) -> bool:
    return row.group is Group.MIXTURE


def _is_strong(row: Row) -> bool:
    return row.group is Group.COUNTERMEASURE and row.strong


WEAK, STRONG = (_is_weak, _is_mixture), (_is_strong,)  # what may go, first to last


def needless(plan: Plan, differences: Differences) -> dict[str, str]:
    """The rows that would only repeat another row, each with the reason."""
    reasons = {row.name: row.needless(differences) for row in plan.rows}
    return {name: why for name, why in reasons.items() if why is not None}


def within(plan: Plan, seconds: Callable[[Plan], float], budget: float, pairs: int, batch: int) -> Plan:
    """The largest part of the plan that is expected to take `budget` seconds, with what it leaves out.

    What goes first: seeds, then countermeasures from the last (each after its control), then mixtures, and half of
    the epochs. Known strong attacks go after these, from the last, then more epochs and training pairs (of so many).
    The mandatory rows stay, and so do further arms, even when they take longer.
    """
    cut = next((part for part in smaller(plan, pairs, batch) if seconds(part) <= budget), None)
    if cut is None:
        *_, cut = smaller(plan, pairs, batch)
    minutes = f"budget of {budget / 60:g} minutes"
    left_out = [*plan.left_out, *(f"{text} ({minutes})" for text in _missing(plan, cut, pairs))]
    if (expected := seconds(cut)) > budget:
        left_out.append(f"nothing more can go: about {expected / 60:.0f} minutes expected, more than the {minutes}")
    return replace(cut, left_out=tuple(left_out))


def smaller(plan: Plan, pairs: int, batch: int) -> Iterator[Plan]:
    """The plan, then ever less of it."""
    yield plan
    for seeds in range(plan.seeds - 1, 0, -1):
        yield (plan := replace(plan, seeds=seeds))
    half = max(LEAST_EPOCHS, ceil(plan.epochs / 2))
    for named, least in ((WEAK, half), (STRONG, LEAST_EPOCHS)):
        for last in [row for kind in named for row in plan.rows[::-1] if kind(row)]:
            plan = replace(plan, rows=tuple(row for row in plan.rows if row.name != last.name))
            if last.percent is None or not any(row.percent == last.percent for row in plan.rows):
                yield plan  # a mixture goes with both of its rows
        for epochs in range(plan.epochs - 1, least - 1, -1):
            yield (plan := replace(plan, epochs=epochs))
    for share in SHARES:
        if pairs * share >= LEAST_BATCHES * batch:
            yield (plan := replace(plan, pairs=int(pairs * share)))


def _missing(plan: Plan, cut: Plan, pairs: int) -> Iterator[str]:
    if cut.seeds < plan.seeds:
        yield f"seeds: {cut.seeds} of {plan.seeds}"
    left = {row.name for row in cut.rows}
    if names := [row.name for row in plan.rows if row.name not in left]:
        yield f"rows: {', '.join(names)}"
    if cut.epochs < plan.epochs:
        yield f"epochs: {cut.epochs} of {plan.epochs}"
    if cut.pairs != plan.pairs:
        yield f"training pairs: {cut.pairs} of {pairs}"
