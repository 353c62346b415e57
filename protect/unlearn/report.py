"""What unlearning did, for people: the verdict first, then the figures; several runs as one Markdown table."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from protect.files import write_whole
from protect.unlearn.attacks import strongest
from protect.unlearn.outside import to_line
from protect.unlearn.result import Result
from protect.unlearn.verdict import checks, headline, lines, mark

PRIVATE = 0o600
HEADER = (
    *("method", "forget acc %", "retain acc %", "far acc %", "forget R@1/5/10 i2t", "retain R@1/5/10 i2t"),
    *(
        "forget R@1/5/10 t2i",
        "retain R@1/5/10 t2i",
        "membership AUC, best attack",
        "from retrained",
        "CPU seconds",
        "time / retrain",
    ),
)
WAYS = ("text_retrieval", "image_retrieval")  # image to text, text to image
WHAT = "R@k: i2t from an image to its text, t2i from a text to its image. A pair not trained on has AUC 0.5."


def notes(result: Result) -> Iterator[str]:
    """What the checks do not say."""
    if result.redirection is not None:
        both = [result.redirection[moment] for moment in ("before", "after")]
        yield "unsafe queries: " + ", ".join(
            f"{name} {100 * both[0][name]:.1f} -> {100 * value:.1f} %" for name, value in both[1].items()
        )
    if result.outside is not None:
        yield to_line(result.outside)


def row(result: Result, moment: str = "after") -> tuple[str, ...]:
    """One line of the table: the run after unlearning, the original before it, or the retrained model."""
    sets = {"before": result.before, "after": result.after, "retrained": result.retrained or {}}[moment]
    accuracies = [_percent(sets.get(name, {}).get("accuracy")) for name in ("forget", "retain", "far")]
    levels = [_levels(sets[name], way) for way in WAYS for name in ("forget", "retain")]
    attacked = None if result.membership is None else strongest(result.membership[moment])[1]
    best = "-" if attacked is None else f"{attacked.auc:.3f} ± {attacked.error:.3f}"
    distance = None if result.distance is None else result.distance.get(moment)
    course = result.course
    time = (f"{course.cpu_seconds:.0f}", _number(result.time_share)) if moment == "after" else ("-", "-")
    name = {"before": "original", "retrained": "retrained"}.get(moment, result.method)
    return (name, *accuracies, *levels, best, _number(distance), *time)


def to_text(result: Result) -> str:
    """The verdict, then before, after and retrained side by side, with notes below."""
    known = ("before", "after") if result.retrained is None else ("before", "after", "retrained")
    columns = (HEADER, *(row(result, moment) for moment in known))
    widths = [max(map(len, column)) for column in columns]
    figures = [
        "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
        for cells in zip(*columns, strict=True)
    ]
    pairs = ", ".join(f"{name} {count}" for name, count in result.pairs.items())
    rest = (f"pairs judged: {pairs}", *notes(result), f"the model: {result.loads}")
    return "\n".join([*lines(result), "", *figures, *rest])


def to_dict(result: Result) -> dict[str, Any]:
    """Everything, with the verdict."""
    verdict = {"headline": headline(result), "checks": [asdict(check) for check in checks(result)]}
    return asdict(result) | {"verdict": verdict}


def to_markdown(results: Sequence[Result]) -> str:
    """The table of several runs from one original, which comes first; the verdict on each below."""
    rows = [HEADER, row(results[0], "before"), *(row(result) for result in results)]
    table = ["| " + " | ".join(cells) + " |" for cells in rows]
    table.insert(1, "| --- |" + " ---: |" * (len(HEADER) - 1))
    said = ["# What was forgotten, and what was kept", "", *table, "", WHAT]
    for result in results:
        said += ["", f"## {result.method}: {headline(result)}", ""]
        said += [f"- {mark(check)}, {check.name}: {check.answer}" for check in checks(result)]
        said += [f"- {note}" for note in notes(result)]
    return "\n".join(said) + "\n"


def _levels(figures: dict[str, float], way: str) -> str:
    return "/".join(f"{100 * figures[f'{way}_recall@{k}']:.0f}" for k in (1, 5, 10))


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def save(result: Result, out: Path) -> None:
    """Writes report.html and report.md; unlearn.json beside them holds everything.

    The page shows how alike the owner's pairs are to a model, so it is for the owner alone.
    """
    from protect.unlearn.page import to_page

    write_whole(out / "report.md", to_markdown([result]).encode())
    write_whole(out / "report.html", to_page(result, out).encode(), PRIVATE)
