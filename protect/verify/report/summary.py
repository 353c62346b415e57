"""A comparison's first lines: what attackers still learn, how sure that is, and which strong attacks were not run."""

from collections.abc import Iterator
from itertools import product

from protect.report.tables import percent
from protect.verify.records import (
    BEST,
    CLEAN,
    LAST,
    MATCHED,
    MOMENTS,
    PERCENTILE,
    PROTECTED,
    RANDOM_NOISE,
    RANDOM_TRIGGER,
    RECALL,
    Weakest,
    judged_by,
)
from protect.verify.result import Comparison

CONTROLS = {RANDOM_NOISE: "random noise", RANDOM_TRIGGER: "random words"}
AS_WELL = 0.05  # shares nearer than this are called the same
NOTHING, EVERYTHING = 0.05, 0.95
SURE = 2  # standard errors, from which two rows are told apart
NAMED = 6  # rows in a sentence


def headline(comparison: Comparison) -> str:
    """One sentence: what an attacker still learns in the weakest row, or why there is no verdict."""
    if not comparison.runs:
        return "No verdict: no attacker was trained; only the checks that need no training were made."
    weakest = comparison.weakest()
    if weakest is None:
        return f"No verdict: {comparison.refusal or 'no row that counts was run'}."
    who, share = f"n attacker who {deed(comparison, weakest.arm)}", percent(weakest.retained)
    if weakest.retained >= EVERYTHING:
        learned = f"A{who} learns all that clean files teach ({share})"
    elif weakest.retained < NOTHING:
        learned = f"Even a{who} learns next to nothing of what clean files teach ({share})"
    else:
        learned = f"A{who} still learns {share} of what clean files teach"
    return learned + _no_better(comparison) + "."


def deed(comparison: Comparison, name: str) -> str:
    """What the attacker of a row does, to be read after "who"."""
    return next((arm.deed for arm in comparison.arms if arm.name == name and arm.deed), f"uses {name}")


def _no_better(comparison: Comparison) -> str:
    rival = best_control(comparison)
    own = most(comparison, PROTECTED)
    if rival is None or own is None or rival.retained > own.retained + AS_WELL:
        return ""
    plainly = f"{percent(rival.retained)} against {percent(own.retained)} for the files as published"
    return f"; {CONTROLS[rival.arm]} alone would do as well ({plainly})"


def best_control(comparison: Comparison) -> Weakest | None:
    """Of random noise and random words, the one that leaves attackers less, where it leaves most."""
    known = [row for row in (most(comparison, arm) for arm in CONTROLS) if row is not None]
    return min(known, default=None)


def most(comparison: Comparison, arm: str, attacker: str | None = None) -> Weakest | None:
    """Where a row gives most, over attackers (or one of them) and the last and best epoch."""
    rows = product([arm], comparison.attackers if attacker is None else [attacker], MOMENTS)
    shares = [(comparison.retained(*row), *row) for row in rows]
    return max((Weakest(share, *row) for share, *row in shares if share is not None), default=None)


def place(row: Weakest) -> str:
    return f"{row.attacker}, {row.moment} epoch"


def first_lines(comparison: Comparison) -> Iterator[str]:
    """What stands below the headline: the weakest row, its learning curve, rows as weak, what was not run."""
    weakest = comparison.weakest()
    if weakest is not None:
        yield _weakest_line(comparison, weakest)
        yield _curve_line(comparison, weakest)
        yield from _not_told_apart(comparison, weakest)
    if comparison.runs and comparison.not_run:
        missed = ", ".join(comparison.not_run)
        yield f"Known strong attacks that were not run: {missed} (--countermeasures runs them)."
    if require := comparison.settings.get("require"):
        yield f"Required: {require}; {'met' if comparison.passed else 'not met'}."


def _weakest_line(comparison: Comparison, weakest: Weakest) -> str:
    count = sum(arm.claim for arm in comparison.arms)
    words = control_words(comparison, weakest)
    return (
        f"Weakest of {count} rows, ways to use the files: {weakest.arm} ({place(weakest)}), retained gain "
        f"{with_error(comparison, weakest)}, by mean percentile rank {with_error(comparison, weakest, PERCENTILE)}"
        f"{f'; {words}' if words else ''}."
    )


def with_error(comparison: Comparison, row: Weakest, statistic: str = RECALL) -> str:
    """A retained gain with its standard error, in per cent: "41 ± 6 %"."""
    share = comparison.retained(*row[1:], statistic)
    error = comparison.error(*row[1:], statistic)
    if share is None or error is None:
        return percent(share)
    return f"{percent(share).removesuffix(' %')} ± {percent(error)}"


def control_words(comparison: Comparison, row: Weakest) -> str:
    """What the matched control retains, and which part of that the row retains; empty without one."""
    reference = comparison.retained(MATCHED + row.arm, row.attacker, row.moment)
    if reference is None:
        return ""
    part = comparison.retained_of_control(row.arm, row.attacker, row.moment)
    of_it = "too little to take a share of" if part is None else f"of which this row retains {percent(part)}"
    return f"the same treatment of clean files retains {percent(reference)}, {of_it}"


def _curve_line(comparison: Comparison, row: Weakest) -> str:
    """Peak and end of the learning curve, beside that of clean files."""

    def peak(arm: str) -> str:
        value = comparison.mean(arm, row.attacker, BEST) or 0.0
        epochs = sorted({result.epoch for result in comparison.results(arm, row.attacker, BEST)})
        where = f"{epochs[0]}" if len(epochs) == 1 else f"{epochs[0]}-{epochs[-1]}"
        return f"{100 * value:.1f} % (epoch {where})"

    last = comparison.mean(row.arm, row.attacker, LAST) or 0.0
    guess = judged_by(comparison.chance, RECALL)
    return (
        f"Its learning curve: R@10, the share of queries whose partner is among the first ten results, peaks at "
        f"{peak(row.arm)} and ends at {100 * last:.1f} %; from clean files it peaks at {peak(CLEAN)}; chance is "
        f"{100 * guess:.1f} %."
    )


def _not_told_apart(comparison: Comparison, weakest: Weakest) -> Iterator[str]:
    """The other rows of the same attacker that the test pictures do not tell apart from the weakest one."""
    names = list[str]()
    for row in comparison.ranked():
        distance = comparison.apart(weakest, row)
        if row.arm != weakest.arm and distance is not None and distance < SURE:
            names.append(f"{row.arm} {percent(row.retained)}")
    if names:
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        yield (
            f"As weak, as far as {comparison.test.pairs:,} test pictures tell (within {SURE} standard errors): "
            f"{', '.join(names[:NAMED])}{more}."
        )
