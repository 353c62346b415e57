"""Which rows are run, in which order, and what is left out when there is not time enough for all."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from protect.settings.verify import VerifySettings
from protect.verify.countermeasures import COUNTERMEASURES, STANDARD
from protect.verify.result import CLEAN, MANDATORY, TWIN, mix_names

CONTROLS = 3  # of the mandatory rows: the others are claims
LEAST_EPOCHS = 3
LEAST_BATCHES = 4  # in an epoch
SHARES = (0.75, 0.5, 0.35, 0.25)  # of the pairs, when even fewer epochs do not fit


@dataclass(frozen=True)
class Row:
    """One row of the report before it is run: its data by group and name, and how it is trained.

    view and lesson: as `Countermeasure` has them, empty for the attacker's own. percent: of pairs protected.
    times: the epochs of the others.
    """

    name: str
    group: str
    claim: bool = False
    view: str = ""
    lesson: str = ""
    percent: float = 0.0
    times: int = 1


@dataclass(frozen=True)
class Plan:
    """What is run: rows in order, seeds a row, epochs, pairs to train on at most (0: all); what is not, in words."""

    rows: tuple[Row, ...]
    seeds: int
    epochs: int
    pairs: int
    left_out: tuple[str, ...] = ()


def whole_plan(settings: VerifySettings, arms: Iterable[str]) -> Plan:
    """Everything that was asked for: mandatory rows, further arms, countermeasures, mixtures.

    Raises ValueError for a countermeasure that does not exist.
    """
    names, left_out = chosen(settings.countermeasures), list[str]()
    if others := [name for name in COUNTERMEASURES if name not in names]:
        left_out.append(f"countermeasures not asked for: {', '.join(others)}")
    for name in [*names]:
        needs = COUNTERMEASURES[name.removeprefix(TWIN)].needs
        if needs and not getattr(settings, needs, True):  # the clean pairs are always there
            left_out.append(f"{name}: needs weights, named by {needs}")
            names.remove(name)
    rows = [Row(name, "mandatory", claim=number >= CONTROLS) for number, name in enumerate(MANDATORY)]
    rows += [Row(name, "extra") for name in arms]
    rows += map(_countermeasure, names)
    for share in sorted({share for share in settings.mix if share < 1}):
        percent = round(100 * share, 6)
        rows += [Row(name, "dilution", percent=percent) for name in mix_names(percent)]
    return Plan(tuple(rows), settings.seeds, settings.epochs, settings.limit, tuple(left_out))


def _countermeasure(name: str) -> Row:
    row = COUNTERMEASURES[name.removeprefix(TWIN)]
    twin = name.startswith(TWIN)
    return Row(name, "twin" if twin else "countermeasure", not twin, row.view, row.lesson, times=row.times)


def chosen(names: Sequence[str]) -> list[str]:
    """Countermeasures by name, in their own order; "standard", "all" and "none" stand for several.

    Each is followed by its twin, clean:NAME, where that is asked for, or where more epochs are trained than for
    the clean files. What needs the clean pairs beside the published ones has no twin.
    """
    sets: dict[str, Sequence[str]] = {"standard": STANDARD, "all": tuple(COUNTERMEASURES), "none": ()}
    twins = [TWIN + name for name, row in COUNTERMEASURES.items() if row.needs != CLEAN]
    if unknown := sorted(set(names) - {*sets, *COUNTERMEASURES, *twins}):
        known = ", ".join([*sets, *COUNTERMEASURES, f"{TWIN}NAME"])
        raise ValueError(f"countermeasures: expected some of {known}; got {', '.join(unknown)}")
    wanted = {one for name in names for one in sets.get(name, (name,))}
    wanted |= {TWIN + name for name in wanted & {*COUNTERMEASURES} if COUNTERMEASURES[name].times > 1}
    ordered = [*STANDARD, *(name for name in COUNTERMEASURES if name not in STANDARD)]
    return [one for name in ordered for one in (name, TWIN + name) if one in wanted]


def within(plan: Plan, seconds: Callable[[Plan], float], budget: float, pairs: int, batch: int) -> Plan:
    """The largest part of the plan that is expected to take `budget` seconds, with what it leaves out.

    What goes first: seeds, then countermeasures from the last (each after its twin), then mixtures, epochs, and
    training pairs (of so many). The mandatory rows stay, and so do further arms, even when they take longer.
    """
    found = plan
    for found in smaller(plan, pairs, batch):
        if seconds(found) <= budget:
            break
    minutes = f"budget of {budget / 60:g} minutes"
    said = [*plan.left_out, *(f"{text} ({minutes})" for text in _missing(plan, found, pairs))]
    if (left := seconds(found)) > budget:
        said.append(f"nothing more can go: about {left / 60:.0f} minutes expected, more than the {minutes}")
    return replace(found, left_out=tuple(said))


def smaller(plan: Plan, pairs: int, batch: int) -> Iterator[Plan]:
    """The plan, then ever less of it."""
    yield plan
    for seeds in range(plan.seeds - 1, 0, -1):
        yield (plan := replace(plan, seeds=seeds))
    for groups in (("countermeasure", "twin"), ("dilution",)):
        for last in [row for row in plan.rows if row.group in groups][::-1]:
            plan = replace(plan, rows=tuple(row for row in plan.rows if row.name != last.name))
            if not any(last.percent and row.percent == last.percent for row in plan.rows):
                yield plan  # a mixture goes with both of its rows
    for epochs in range(plan.epochs - 1, LEAST_EPOCHS - 1, -1):
        yield (plan := replace(plan, epochs=epochs))
    for share in SHARES:
        if pairs * share >= LEAST_BATCHES * batch:
            yield (plan := replace(plan, pairs=int(pairs * share)))


def _missing(plan: Plan, found: Plan, pairs: int) -> Iterator[str]:
    if found.seeds < plan.seeds:
        yield f"seeds: {found.seeds} of {plan.seeds}"
    if names := [row.name for row in plan.rows if row not in found.rows]:
        yield f"rows: {', '.join(names)}"
    if found.epochs < plan.epochs:
        yield f"epochs: {found.epochs} of {plan.epochs}"
    if found.pairs != plan.pairs:
        yield f"training pairs: {found.pairs} of {pairs}"
