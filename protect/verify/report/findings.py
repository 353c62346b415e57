"""What a comparison comes to beside its first lines, in plain words: controls, errors, limits."""

from collections.abc import Iterator
from itertools import product

from protect.report.tables import percent
from protect.verify.records import (
    BEST,
    CLEAN,
    MATCHED,
    MOMENTS,
    PERCENTILE,
    PROTECTED,
    RANDOM_NOISE,
    RECALL,
    Arm,
    Group,
)
from protect.verify.report.summary import CONTROLS, SURE, control_words, most, place
from protect.verify.result import Comparison

ADAPTIVE = "adaptive-denoiser"
NEW_CAPTIONS = {"recaptioned", "machine-captions", "some-captions"}


def percents(comparison: Comparison) -> list[float]:
    """Protected shares of the mixtures that were run, the protected files by themselves (100) at the end."""
    mixed = {arm.percent for arm in comparison.group(Group.MIXTURE) if arm.percent is not None and arm.with_owner}
    return [*sorted(mixed - {100.0}), 100.0] if mixed else []


def notes(comparison: Comparison) -> Iterator[str]:
    """Findings beside the leading sentence, limits of the comparison included."""
    if comparison.runs:
        for control, words in CONTROLS.items():
            row = most(comparison, control)
            if row is not None:
                retained = f"{percent(row.retained)} of the clean gain ({place(row)})"
                yield f"With {words} instead of the protection, attackers retain up to {retained}."
        yield from _precision(comparison)
        yield from _too_little(comparison)
        yield from (f"{name} is not applicable: {why}." for name, why in comparison.inapplicable.items())
        yield from _controls(comparison)
        yield from _transformed(comparison)
        yield from _idle(comparison)
    clean = next((arm.pairs for arm in comparison.arms if arm.name == CLEAN), 0)
    for arm in comparison.arms:
        if arm.pairs < clean and arm.group is not Group.MIXTURE:
            yield (
                f"{arm.name}: the attacker trained on {arm.pairs} of the {clean} clean pairs; what is dropped or "
                "unreadable lowers its figures as well."
            )


def _precision(comparison: Comparison) -> Iterator[str]:
    weakest = comparison.weakest()
    errors = [comparison.error(*weakest[1:], by) for by in (RECALL, PERCENTILE)] if weakest else [None]
    if None in errors:
        return
    recall, percentile = (round(100 * error) for error in errors if error is not None)
    seeds = comparison.settings.get("seeds", 1)
    trainings = "one training" if seeds == 1 else f"{seeds} trainings"
    yield (
        f"The {comparison.test.pairs} test pictures give the retained gain of the weakest row a standard error of "
        f"{recall} points by R@10 and {percentile} points by mean percentile rank (bootstrap over pictures); the "
        f"variation between trainings comes on top, of which there is {trainings} a row."
    )
    yield from _random_is_close(comparison)


def _random_is_close(comparison: Comparison) -> Iterator[str]:
    """Where the protection does not differ from random noise by more than the test set can tell."""
    for attacker in comparison.attackers:
        own, noise = (most(comparison, arm, attacker) for arm in (PROTECTED, RANDOM_NOISE))
        if own is None or noise is None:
            continue
        distances = [comparison.apart(own, noise._replace(moment=own.moment), by) for by in (RECALL, PERCENTILE)]
        if all(distance is not None and distance < SURE for distance in distances):
            yield (
                f"{attacker}: the files as published and random noise differ by less than {SURE} standard errors, "
                "by R@10 and by mean percentile rank."
            )


def _controls(comparison: Comparison) -> Iterator[str]:
    """What the same treatment leaves on clean files: a low share may only mean that the attackers trained badly."""
    for arm in comparison.arms:
        row = most(comparison, arm.name)
        if row is not None and (words := control_words(comparison, row)):
            yield f"{arm.name} ({place(row)}): {percent(row.retained)} of the clean gain retained; {words}."
    weakest = comparison.weakest()
    places = product((arm.name for arm in comparison.arms if arm.claim), comparison.attackers, MOMENTS)
    shares = [(share, arm) for arm, *at in places if (share := comparison.retained_of_control(arm, *at)) is not None]
    share, name = max(shares, default=(0.0, ""))
    if weakest is not None and share > weakest.retained and name != weakest.arm:
        yield f"Beside its matched control, {name} leaves attackers more than the weakest row does: {percent(share)}."
    run = {arm.name for arm in comparison.arms}
    slow = [arm for arm in comparison.group(Group.COUNTERMEASURE) if arm.slow]
    alone = [arm.name for arm in slow if MATCHED + arm.name not in run]
    if alone:
        yield (
            f"Slow to learn by, from clean files too: {', '.join(alone)}. A low share there may only mean that the "
            f"attackers stopped too soon; the fair reference is the matched control, as in the row {MATCHED}"
            f"{alone[0]} (to be asked for by that name)."
        )


def _transformed(comparison: Comparison) -> Iterator[str]:
    judged = dict[str, list[str]]()
    for arm, attacker in product((arm.name for arm in comparison.arms), comparison.attackers):
        results = [result for result in comparison.results(arm, attacker, BEST) if result.transformed]
        if results:
            judged.setdefault(arm, [])
            if any(result.better is result.transformed for result in results):
                judged[arm].append(attacker)
    if judged:
        better = [f"{arm} ({', '.join(attackers)})" for arm, attackers in judged.items() if attackers]
        yield (
            f"{', '.join(judged)}: judged on the clean test pairs and on test pairs transformed as the training "
            "pairs were; the better result of each epoch counts. At the best epoch that was the transformed test set "
            f"for {', '.join(better) or 'none of them'}."
        )


def _idle(comparison: Comparison) -> Iterator[str]:
    """Rows whose trainings were those of the files as published, number by number."""
    plain = {(run.attacker, run.seed): run.epochs for run in comparison.runs if run.arm == PROTECTED}
    idle = [
        arm.name
        for arm in comparison.group(Group.COUNTERMEASURE)
        if all(run.epochs == plain.get((run.attacker, run.seed)) for run in comparison.runs if run.arm == arm.name)
    ]
    if idle:
        yield f"{', '.join(idle)}: nothing to change in these files; the figures are those of the files as published."


def dropped(arm: Arm) -> str:
    """The shares that a row threw away; empty when there are none."""
    shares = ((arm.dropped_pairs, "pairs"), (arm.dropped_words, "words"))
    return ", ".join(f"{100 * share:.1f} % {what}" for share, what in shares if share > 0)


def _too_little(comparison: Comparison) -> Iterator[str]:
    for attacker in comparison.attackers:
        if not comparison.results(CLEAN, attacker, BEST):
            continue
        gain, least = comparison.gain(CLEAN, attacker, BEST), comparison.least_gain
        if gain < least:
            yield (
                f"{attacker}: clean training gains {100 * gain:.1f} points of R@10 at its best epoch, expected at "
                f"least {100 * least:.1f} with {comparison.test.pairs} test images: too little to lose, so it has no "
                "shares; give it more pairs, test images or epochs."
            )


def untested(comparison: Comparison) -> list[str]:
    """What the report is silent about: rows left out, and what was never part of it."""
    if not comparison.runs:
        return [*comparison.left_out, "Nothing was trained: what an attacker learns is not known from this report."]
    models = ", ".join(comparison.attackers)
    start = "from pretrained weights" if comparison.settings.get("pretrained") else "from scratch"
    pairs = max((arm.pairs for arm in comparison.arms), default=0)
    run = {arm.name for arm in comparison.arms}
    copies = "" if ADAPTIVE in run else ", or from patterns in the tool"
    silent = [
        *comparison.left_out,
        f"Other attackers than {models}, trained {start} on at most {pairs} pairs for "
        f"{comparison.settings.get('epochs', '-')} epochs: larger models, more data or longer training may get more.",
        "Other uses than contrastive training on image-caption pairs, such as image generation.",
        "Attackers who have the key (_protect/private): they can remove words and subtract noise; expect them to "
        "learn what clean files teach.",
        f"Attackers who estimate the noise from other copies of the pictures{copies}.",
    ]
    if not run & NEW_CAPTIONS:
        silent.append("New captions for the published pictures, written by a captioning model or by people.")
    return silent
