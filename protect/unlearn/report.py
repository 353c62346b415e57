"""What unlearning did, for people: one run as text, any number of runs as a Markdown table."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from protect.files import write_whole
from protect.unlearn.methods import METHODS
from protect.unlearn.run import Result

LUCK = 0.01  # so few forget pairs recognised that guessing would do so less often than this
HEADER = (
    *("method", "forget acc %", "retain acc %", "far acc %", "forget R@1/5/10 i2t", "retain R@1/5/10 i2t"),
    *(
        "forget R@1/5/10 t2i",
        "retain R@1/5/10 t2i",
        "membership AUC",
        "from retrained",
        "CPU seconds",
        "time / retrain",
    ),
)
WAYS = ("text_retrieval", "image_retrieval")  # image to text, text to image
WHAT = "R@k: i2t from an image to its text, t2i from a text to its image. A pair not trained on has AUC 0.5."


def notes(result: Result) -> Iterator[str]:
    """What the figures alone do not say."""
    before, after = result.before["forget"], result.after["forget"]
    aligned = before["true_similarity"] > before["similarity"]
    if below_chance(result):
        yield f"signature: {_below(result)}"
    if aligned and after["true_similarity"] < after["similarity"]:
        yield (
            "signature: forget pairs are less similar to their own caption than to the average one "
            f"({after['true_similarity']:.3f} against {after['similarity']:.3f}): anti-aligned, not forgotten"
        )
    if result.redirection is not None:
        both = [result.redirection[moment] for moment in ("before", "after")]
        yield "unsafe queries: " + ", ".join(
            f"{name} {100 * both[0][name]:.1f} -> {100 * value:.1f} %" for name, value in both[1].items()
        )
    if not METHODS[result.method].fresh and result.distance["after"] is None:
        yield "no retrained model to compare with: run --method retrain once and name its OUT with --retrained"


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


def _below(result: Result) -> str:
    accuracy, chance = result.after["forget"]["accuracy"], result.chance or 0.0
    said = f"{100 * accuracy:.1f} % of the forget pairs are recognised where guessing gives {100 * chance:.1f} %"
    known = result.retrained_accuracy
    if METHODS[result.method].fresh:
        return f"{said}: what was never named is taken for something else, so a low figure alone proves nothing"
    if known is None:
        return f"{said}: whoever tests for it can see that something was unlearned"
    if at_most(round(accuracy * result.pairs["forget"]), result.pairs["forget"], known) < LUCK:
        return f"{said} and a model retrained without them {100 * known:.1f} %: only unlearning explains it"
    return f"{said}; a model retrained without them does no better ({100 * known:.1f} %)"


def row(result: Result, moment: str = "after") -> tuple[str, ...]:
    """One line of the table: the run after unlearning, or the original before it."""
    sets = result.after if moment == "after" else result.before
    accuracies = [_percent(sets.get(name, {}).get("accuracy")) for name in ("forget", "retain", "far")]
    levels = [_levels(sets[name], way) for way in WAYS for name in ("forget", "retain")]
    figures = (result.membership[moment], result.distance[moment])
    time = ("-", "-") if moment == "before" else (f"{result.course.cpu_seconds:.0f}", _number(result.time_share))
    name = result.method if moment == "after" else "original"
    return (name, *accuracies, *levels, *(_number(figure) for figure in figures), *time)


def to_text(result: Result) -> str:
    """Before and after side by side, with the notes below."""
    columns = (HEADER, row(result, "before"), row(result))
    widths = [max(map(len, column)) for column in columns]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
        for cells in zip(*columns, strict=True)
    ]
    pairs = ", ".join(f"{name} {count}" for name, count in result.pairs.items())
    return "\n".join([*lines, f"pairs judged: {pairs}", *notes(result), f"the model: {result.loads}"])


def to_markdown(results: Sequence[Result]) -> str:
    """The table of several runs from one original, which comes first; notes by method below."""
    rows = [HEADER, row(results[0], "before"), *(row(result) for result in results)]
    lines = ["| " + " | ".join(cells) + " |" for cells in rows]
    lines.insert(1, "| --- |" + " ---: |" * (len(HEADER) - 1))
    said = [f"- {result.method}: {note}" for result in results for note in notes(result)]
    return "\n".join(["# What was forgotten, and what was kept", "", *lines, "", WHAT, "", *said]) + "\n"


def _levels(figures: dict[str, float], way: str) -> str:
    return "/".join(f"{100 * figures[f'{way}_recall@{k}']:.0f}" for k in (1, 5, 10))


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def save(results: Sequence[Result], out: Path) -> None:
    """Writes report.md; `unlearn.json` beside it holds everything."""
    write_whole(out / "report.md", to_markdown(results).encode())
