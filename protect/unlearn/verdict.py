"""Whether a model forgot as if it had never seen the pairs: questions that a run passes, fails, or leaves open.

The standard is a model retrained without the pairs. Knowing more than that is not forgotten; knowing less, or being
further from it than before, is forgotten too much, and that is a failure too: it can be seen from outside.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from protect.unlearn.attacks import strongest
from protect.unlearn.judge import knowledge
from protect.unlearn.methods import METHODS
from protect.unlearn.result import Result

KEPT = 0.02  # so much recognition may be lost on what is to be kept
NOISE = 2.0  # standard errors within which two figures are the same
APART = 0.5  # alignment, in standard deviations, by which forgotten pairs may lie below the retrained model's
SOON = 0.5  # of the retrained model's steps: who learns the pairs again in fewer had only hidden them
ALPHA = 0.05  # p-value of a receipt at which a model looks trained on what was published
LUCK = 0.01  # so few forget pairs recognised that guessing would do so less often than this
KEEP = {
    "retain": "the pairs to keep",
    "near": "the neighbours of what is forgotten",
    "facts": "other facts about the forgotten pictures",
    "far": "another domain",
}
STANDARD = "run --method retrain once and name its OUT with --retrained"


@dataclass(frozen=True)
class Check:
    """One question. passed: None where it could not be asked; `answer` says what was found, or what is missing."""

    name: str
    passed: bool | None
    answer: str


def checks(result: Result) -> list[Check]:
    """Every question, in the order in which they matter; that of the receipt only where there is one."""
    kept = [_kept(result, name, words) for name, words in KEEP.items()]
    return [
        _forgotten(result),
        _pushed_apart(result),
        *kept,
        _membership(result),
        _relearning(result),
        _distance(result),
        *([] if result.receipt is None else [_receipt(result)]),
    ]


def headline(result: Result) -> str:
    """The answer in one line."""
    asked = checks(result)
    failed = [check.name for check in asked if check.passed is False]
    open_ones = [check.name for check in asked if check.passed is None]
    if METHODS[result.method].fresh:
        return "This model was trained anew: it is the standard that others are compared with."
    if failed:
        return f"No: {len(failed)} of {len(asked)} checks fail ({', '.join(failed)})."
    if open_ones:
        missing = f"{len(open_ones)} of {len(asked)} could not be made ({', '.join(open_ones)})"
        return f"Not proven: no check fails, but {missing}."
    return f"Yes: forgotten as if never seen, by all {len(asked)} checks."


def passed(result: Result) -> bool:
    """Whether no check fails; those that could not be made do not count."""
    return all(check.passed is not False for check in checks(result))


def _forgotten(result: Result) -> Check:
    """Knowledge of what is to be forgotten: as much as the retrained model has of it, no more and no less."""
    name = result.forgotten
    before, after, count = knowledge(result.before[name]), knowledge(result.after[name]), result.pairs[name]
    said = f"{_percent(before)} -> {_percent(after)} of the forget pairs are recognised"
    if result.retrained is not None:
        standard = knowledge(result.retrained[name])
        band = max(KEPT, NOISE * math.hypot(_error(after, count), _error(standard, count)))
        said = f"{said}, {_percent(standard)} by the retrained model"
        if after > standard + band:
            return Check("forgotten", False, f"{said}: still known")
        if after < standard - band:
            return Check("forgotten", False, f"{said}: forgotten too much")
        return Check("forgotten", True, said)
    if result.chance is None:
        return Check("forgotten", None, f"{said}: nothing to compare with; {STANDARD}")
    said = f"{said}, guessing gives {_percent(result.chance)}"
    if below_chance(result):
        return Check("forgotten", False, f"{said}: forgotten too much; whoever tests for it can see that")
    if after > result.chance + max(KEPT, NOISE * _error(result.chance, count)):
        return Check("forgotten", False, f"{said}: still known")
    return Check("forgotten", True, said)


def _pushed_apart(result: Result) -> Check:
    """Forgotten pairs should agree as little as strangers do, not less."""
    name = "not pushed apart"
    moments = {"before": result.before, "after": result.after, "retrained": result.retrained or {}}
    known = {moment: sets.get(result.forgotten, {}).get("alignment") for moment, sets in moments.items()}
    after, standard = known["after"], known["retrained"]
    if after is None:
        return Check(name, None, "fewer than three captions to compare")
    said = f"images agree with their own caption by {after:.2f} standard deviations more than with others"
    if standard is None:
        below = known["before"] is not None and known["before"] > 0 > after
        return Check(name, False if below else None, f"{said}; {'less than strangers' if below else STANDARD}")
    return Check(name, after >= standard - APART, f"{said}; in the retrained model {standard:.2f}")


def _kept(result: Result, name: str, words: str) -> Check:
    if name not in result.after:
        missing = "too few retain pairs to choose from; name some with --near" if name == "near" else f"name --{name}"
        return Check(f"{name} kept", None, f"{words}: {missing}")
    before, after = knowledge(result.before[name]), knowledge(result.after[name])
    said, least = f"{words}: {_percent(before)} -> {_percent(after)} recognised", before
    if result.retrained is not None:  # what training without the pairs costs too is no damage of the forgetting
        standard = knowledge(result.retrained[name])
        said, least = f"{said}, {_percent(standard)} by the retrained model", min(before, standard)
    return Check(f"{name} kept", after >= least - KEPT, said)


def _membership(result: Result) -> Check:
    if result.membership is None:
        return Check("membership", None, "name held-out pairs of the same kind with --forget-test")
    found, standard = result.membership["after"], result.membership.get("retrained", {})
    worst = []
    for attack, one in found.items():
        fair = standard.get(attack)
        gap = one.auc - (0.5 if fair is None else fair.auc)
        error = one.error if fair is None else math.hypot(one.error, fair.error)
        if abs(gap) > NOISE * error:
            worst.append((abs(gap), f"finds {'more' if gap > 0 else 'less'} than in an honest model (by {attack})"))
    name, most = strongest(found)
    best = f"{name}: AUC {most.auc:.3f} ± {most.error:.3f}"
    said = f"the best of {len(found)} attacks to tell the pairs from unseen ones ({best})"
    return Check(
        "membership", not worst, f"{said} {max(worst)[1] if worst else 'finds as much as in an honest model'}"
    )


def _relearning(result: Result) -> Check:
    if result.relearning is None:
        cure = STANDARD if result.retrained is None else "give --relearn a number of steps"
        if result.retrained is not None and result.settings.get("relearn") is not None:
            cure = "the original knew these pairs no better than the retrained model does"
        return Check("relearning", None, f"how soon the pairs come back was not measured: {cure}")
    after, fair = (result.relearning[name] for name in ("after", "retrained"))
    words = [_steps(one.steps, one.points[-1][0]) for one in (after, fair)]
    said = f"the pairs are back {words[0]}, in the retrained model {words[1]}"
    most = math.inf if fair.steps is None else fair.steps
    hidden = after.steps is not None and after.steps < SOON * most
    return Check("relearning", not hidden, f"{said}: hidden, not forgotten" if hidden else said)


def _distance(result: Result) -> Check:
    if result.distance is None:
        return Check("distance", None, f"the distance from a retrained model is unknown; {STANDARD}")
    before, after = result.distance["before"], result.distance["after"]
    said = f"answers differ from the retrained model's by {before:.3f} -> {after:.3f} (0: the same, 1: no overlap)"
    if (between := result.distance.get("between")) is not None:
        said += f"; two retrained models differ by {between:.3f}"
    return Check("distance", after < before, said if after < before else f"{said}: no nearer than before")


def _receipt(result: Result) -> Check:
    assert result.receipt is not None
    before, after = result.receipt["before"], result.receipt["after"]
    said = f"the receipt's p-value goes from {before:.3g} to {after:.3g}"
    if "retrained" in result.receipt:
        said += f" ({result.receipt['retrained']:.3g} in the retrained model)"
    if after <= ALPHA:
        return Check("receipt", False, f"{said}: the model still knows the published twins better")
    if before <= ALPHA:
        return Check("receipt", True, f"{said}: it no longer tells what was published")
    return Check("receipt", None, f"{said}: it told nothing before either")


def below_chance(result: Result) -> bool:
    """Whether fewer forget pairs are recognised than guessing explains: forgetting that can be seen from outside."""
    accuracy = result.after["forget"].get("accuracy")
    if accuracy is None or result.chance is None:
        return False
    return at_most(round(accuracy * result.pairs["forget"]), result.pairs["forget"], result.chance) < LUCK


def at_most(right: int, count: int, chance: float) -> float:
    """Probability that `count` guesses hold no more than `right` right ones."""
    if chance in (0, 1):
        return float(chance == 0 or right >= count)
    log_odds = math.log(chance / (1 - chance))
    whole = math.lgamma(count + 1) + count * math.log(1 - chance)
    return sum(
        math.exp(whole - math.lgamma(k + 1) - math.lgamma(count - k + 1) + k * log_odds) for k in range(right + 1)
    )


def lines(result: Result) -> Iterator[str]:
    """The headline and every check, for a terminal."""
    yield headline(result)
    for check in checks(result):
        yield f"  {mark(check):12} {check.name}: {check.answer}"


def mark(check: Check) -> str:
    return {True: "holds", False: "FAILS", None: "not tested"}[check.passed]


def _error(share: float, count: int) -> float:
    """Standard error of a share of so many pairs."""
    return math.sqrt(share * (1 - share) / count)


def _steps(steps: float | None, most: int) -> str:
    return f"not within {most} steps" if steps is None else f"after {steps:.1f} steps"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
