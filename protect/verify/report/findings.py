"""What a comparison comes to, in plain words: the leading sentence, its grounds and its limits."""

import re
from collections.abc import Iterator
from itertools import product

from protect.verify.countermeasures import COUNTERMEASURES
from protect.verify.report.tables import percent
from protect.verify.result import CLEAN, MOMENTS, PROTECTED, TWIN, Arm, Comparison, Weakest

CONTROLS = {"random-noise": "random noise", "random-trigger": "random words"}
AS_WELL = 0.05  # shares nearer than this are called the same
NOTHING, EVERYTHING = 0.05, 0.95
DEEDS = {  # what the attacker of a row does, by pattern of its name; the others "use" it
    "protected": "takes the files as published",
    "trigger-stripped": "strips the trigger words",
    "clean-captions": "has the clean captions",
    "scraper-chain": "stores the pictures as scrapers do",
    r"jpeg-\d+|webp": "compresses the pictures again",
    r"grayscale|bit-depth-\d": "takes colours out of the pictures",
    "blur|median|resize-down-up": "smooths the pictures",
    "no-augmentation": "always takes the same crop",
    "randaugment|strong-augmentation": "crops and recolours the pictures",
    "ueraser(-light)?": "learns from the hardest of several crops",
    r"strip-first-\d": "cuts off the first words",
    r"strip-last-\d": "cuts off the last words",
    "drop-.*-words|perplexity-filter|deduplicate-prefixes": "drops words that look planted",
    ".*-filter|clip-score": "drops pairs that look odd",
    "half-words|shuffled-words": "changes the words of the captions",
    "subtract-.*-means": "subtracts what pictures that share a word have in common",
    "remove-stripes": "filters out what repeats all over the pictures",
    "level-directions": "levels the directions of fine texture",
    "level-and-strip": "levels the directions of fine texture and takes off repeated words",
    "even-looks": "brings all pictures to the same brightness and colour",
    "longer": "trains four times as long",
}


def headline(found: Comparison) -> str:
    """One sentence: what an attacker still learns in the weakest row, or why there is no verdict."""
    if not found.runs:
        return "No verdict: no attacker was trained; only the checks that need no training were made."
    weakest = found.weakest()
    if weakest is None:
        return f"No verdict: {found.refusal or 'no row that counts was run'}."
    who, share = f"n attacker who {deed(weakest.arm)}", percent(weakest.share)
    if weakest.share >= EVERYTHING:
        learned = f"A{who} learns all that clean files teach ({share})"
    elif weakest.share < NOTHING:
        learned = f"Even a{who} learns next to nothing of what clean files teach ({share})"
    else:
        learned = f"A{who} still learns {share} of what clean files teach"
    return learned + _no_better(found) + "."


def deed(arm: str) -> str:
    """What the attacker of a row does, to be read after "who"."""
    return next((words for pattern, words in DEEDS.items() if re.fullmatch(pattern, arm)), f"uses {arm}")


def _no_better(found: Comparison) -> str:
    rival = best_control(found)
    own = most(found, PROTECTED)
    if rival is None or own is None or rival.share > own.share + AS_WELL:
        return ""
    plainly = f"{percent(rival.share)} against {percent(own.share)} for the files as published"
    return f"; {CONTROLS[rival.arm]} alone would do as well ({plainly})"


def best_control(found: Comparison) -> Weakest | None:
    """Of random noise and random words, the one that leaves the attacker less, where it leaves most."""
    known = [row for row in (most(found, arm) for arm in CONTROLS) if row is not None]
    return min(known, default=None)


def most(found: Comparison, arm: str, attacker: str = "") -> Weakest | None:
    """Where a row gives most, over attackers (or one of them) and the last and best epoch."""
    rows = product([arm], [attacker] if attacker else found.attackers, MOMENTS)
    shares = [(found.share(*row), *row) for row in rows]
    return max((Weakest(share, *row) for share, *row in shares if share is not None), default=None)


def place(row: Weakest) -> str:
    return f"{row.attacker}, {row.moment} epoch"


def percents(found: Comparison) -> list[float]:
    """Protected shares of the mixtures that were run, the protected files by themselves (100) at the end."""
    mixed = {float(arm.name.removeprefix("mix-")) for arm in found.group("dilution") if arm.name.startswith("mix-")}
    return [*sorted(mixed - {100.0}), 100.0] if mixed else []


def notes(found: Comparison) -> Iterator[str]:
    """Findings beside the leading sentence, limits of the comparison included."""
    if found.runs:
        for control, words in CONTROLS.items():
            row = most(found, control)
            if row is not None:
                kept = f"{percent(row.share)} of the clean gain ({place(row)})"
                yield f"With {words} instead of the protection, attackers keep up to {kept}."
        yield from _luck(found)
        yield from _too_little(found)
        yield from (f"{name} is not applicable: {why}." for name, why in found.inapplicable.items())
        yield from _twins(found)
        yield from _alike(found)
        yield from _idle(found)
    clean = next((arm.pairs for arm in found.arms if arm.name == CLEAN), 0)
    for arm in found.arms:
        if arm.pairs < clean and arm.group != "dilution":
            yield (
                f"{arm.name}: the attacker trained on {arm.pairs} of the {clean} clean pairs; what is dropped or "
                "unreadable lowers its figures as well."
            )


def _luck(found: Comparison) -> Iterator[str]:
    weakest = found.weakest()
    if weakest is not None:
        error = found.error(weakest.arm, weakest.attacker, weakest.moment)
        seeds = found.settings.get("seeds", 1)
        runs = "one training" if seeds == 1 else f"{seeds} trainings"
        yield (
            f"The {found.test.pairs} test pictures pin the {percent(weakest.share)} of {weakest.arm} down to about "
            f"{round(100 * error)} points either way (one standard error); the luck of {runs} comes on top."
        )


def _twins(found: Comparison) -> Iterator[str]:
    """What the same treatment leaves on clean files: a low share may only mean that the attacker trained badly."""
    for arm in found.arms:
        row = most(found, arm.name)
        if row is not None and (words := twin_words(found, row)):
            yield f"{arm.name} ({place(row)}): {percent(row.share)} of the clean gain kept; {words}."
    weakest = found.weakest()
    places = product((arm.name for arm in found.arms if arm.claim), found.attackers, MOMENTS)
    shares = [(share, arm) for arm, *at in places if (share := found.share_of_twin(arm, *at)) is not None]
    share, name = max(shares, default=(0.0, ""))
    if weakest is not None and share > weakest.share and name != weakest.arm:
        yield f"By that measure, {name} leaves the attacker more than the weakest row does: {percent(share)}."
    run = {arm.name for arm in found.arms}
    alone = [arm.name for arm in found.group("countermeasure") if is_slow(arm.name) and TWIN + arm.name not in run]
    if alone:
        yield (
            f"Slow to learn by, from clean files too: {', '.join(alone)}. A low share there may only mean that the "
            f"attacker stopped too soon; the fair reference is clean files treated alike, as in the row {TWIN}"
            f"{alone[0]} (to be asked for by that name)."
        )


def twin_words(found: Comparison, row: Weakest) -> str:
    """What clean files teach under the treatment of a row, and which part of that the row keeps."""
    reference = found.share(TWIN + row.arm, row.attacker, row.moment)
    if reference is None:
        return ""
    part = found.share_of_twin(row.arm, row.attacker, row.moment)
    of_it = "too little to take a share of" if part is None else f"of which that is {percent(part)}"
    return f"clean files treated alike keep {percent(reference)}, {of_it}"


def is_slow(name: str) -> bool:
    """Whether a countermeasure needs more epochs than plain training, by what it does to every step or epoch."""
    row = COUNTERMEASURES.get(name)
    return row is not None and (row.group == "training" or row.view not in ("", "none", "openclip"))


def _alike(found: Comparison) -> Iterator[str]:
    judged = dict[str, list[str]]()
    for arm, attacker in product((arm.name for arm in found.arms), found.attackers):
        results = [result for result in found.results(arm, attacker, "best") if result.alike]
        if results:
            judged.setdefault(arm, [])
            if any(result.got is result.alike for result in results):
                judged[arm].append(attacker)
    if judged:
        better = [f"{arm} ({', '.join(attackers)})" for arm, attackers in judged.items() if attackers]
        yield (
            f"{', '.join(judged)}: judged on the clean test pairs and on test pairs changed as the training pairs "
            "were; the better result of each epoch counts. At the best epoch that was the one on changed pairs for "
            f"{', '.join(better) or 'none of them'}."
        )


def _idle(found: Comparison) -> Iterator[str]:
    """Rows whose trainings were those of the files as published, number by number."""
    plain = {(run.attacker, run.seed): run.epochs for run in found.runs if run.arm == PROTECTED}
    idle = [
        arm.name
        for arm in found.group("countermeasure")
        if all(run.epochs == plain.get((run.attacker, run.seed)) for run in found.runs if run.arm == arm.name)
    ]
    if idle:
        yield f"{', '.join(idle)}: found nothing to change; the figures are those of the files as published."


def dropped(arm: Arm) -> str:
    """The shares that a row threw away; empty when it kept all."""
    shares = ((arm.dropped_pairs, "pairs"), (arm.dropped_words, "words"))
    return ", ".join(f"{100 * share:.1f} % {what}" for share, what in shares if share > 0)


def _too_little(found: Comparison) -> Iterator[str]:
    for attacker in found.attackers:
        if not found.results(CLEAN, attacker, "best"):
            continue
        gain, least = found.gain(CLEAN, attacker, "best"), found.least_gain
        if gain < least:
            yield (
                f"{attacker}: clean training gains {100 * gain:.1f} points of R@10 at its best epoch, expected at "
                f"least {100 * least:.1f} with {found.test.pairs} test images: too little to lose, so it has no "
                "shares; give it more pairs, test images or epochs."
            )


def untested(found: Comparison) -> list[str]:
    """What the report is silent about: rows left out, and what was never part of it."""
    if not found.runs:
        return [*found.left_out, "Nothing was trained: what an attacker learns is not known from this report."]
    models = ", ".join(found.attackers)
    start = "from pretrained weights" if found.settings.get("pretrained") else "from scratch"
    pairs = max((arm.pairs for arm in found.arms), default=0)
    return [
        *found.left_out,
        f"Other attackers than {models}, trained {start} on at most {pairs} pairs for "
        f"{found.settings.get('epochs', '-')} epochs: larger models, more data or longer training may get more.",
        "Other uses than contrastive training on image-caption pairs, such as image generation.",
        "An attacker who has the key (_protect/private): he can take out words and subtract noise; expect him to "
        "learn what clean files teach.",
        "An attacker who tells the noise by other copies of the pictures, or by patterns that ship with the tool.",
        "Captions that are written anew for the published pictures, by a captioning model or by people.",
    ]
