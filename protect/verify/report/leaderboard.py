"""Several protectors beside each other: one table of rows by entries, as Markdown, JSON and an offline page."""

import os
import platform
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from protect.files import write_whole
from protect.report.pages import fill
from protect.report.tables import Table, markdown_lines
from protect.verify.records import BEST, CLEAN, LAST, PERCENTILE, Group, Weakest, judged_by
from protect.verify.report.export import to_benchmark, to_json
from protect.verify.report.page import TEMPLATES
from protect.verify.report.summary import headline, most, with_error
from protect.verify.result import Comparison

NAME = "leaderboard"
Results = Mapping[str, Comparison]


def save(results: Results, failed: Mapping[str, str], out: Path) -> None:
    """Writes leaderboard.md, .html and .json (CLIP_benchmark's schema; the entry stands before the row)."""
    write_whole(out / f"{NAME}.md", to_markdown(results, failed).encode())
    write_whole(out / f"{NAME}.html", to_page(results, failed).encode())
    records = [
        record | {"dataset": f"{name}: {record['dataset']}"}
        for name, comparison in results.items()
        for record in to_benchmark(comparison)
    ]
    write_whole(out / f"{NAME}.json", to_json(records).encode())


def weakest_table(results: Results) -> Table:
    """Every entry's weakest row, the best protected entry first; then those without a verdict."""
    known = {name: comparison.weakest() for name, comparison in results.items()}
    order = sorted(results, key=lambda name: row.retained if (row := known[name]) else float("inf"))
    rows = [_weakest_row(name, results[name], known[name]) for name in order]
    header = ("entry", "weakest row", "attacker", "epoch", "retained gain", "by rank", "not run")
    return Table("What attackers retain of the clean gain in each entry's weakest row", header, tuple(rows), names=4)


def _weakest_row(name: str, comparison: Comparison, row: Weakest | None) -> tuple[str, ...]:
    missing = ", ".join(comparison.not_run) or "-"
    if row is None:
        return (name, "no verdict", "", "", "-", "-", missing)
    by = (with_error(comparison, row), with_error(comparison, row, PERCENTILE))
    return (name, row.arm, row.attacker, row.moment, *by, missing)


def rows_table(results: Results) -> Table:
    """Retained gain with its standard error, a line for each row and attacker, a column an entry."""
    fullest = sorted(results.values(), key=lambda comparison: -len(comparison.arms))  # which has all rows in order
    arms = list(dict.fromkeys(arm.name for c in fullest for arm in c.arms if arm.name != CLEAN))
    attackers = list(dict.fromkeys(name for comparison in results.values() for name in comparison.attackers))
    cells = [
        (arm, attacker, *(_cell(comparison, arm, attacker) for comparison in results.values()))
        for arm in arms
        for attacker in attackers
    ]
    title = "Retained gain, the higher of last and best epoch, ± the standard error from the test pictures"
    return Table(title, ("row", "attacker", *results), tuple(cells), names=2)


def _cell(comparison: Comparison, arm: str, attacker: str) -> str:
    row = most(comparison, arm, attacker)
    return "-" if row is None else with_error(comparison, row)


def about(results: Results) -> Iterator[str]:
    """How the figures came about: data, recipe, what clean files teach, versions and machine."""
    first = next(iter(results.values()), None)
    if first is None:
        return
    settings, pairs = first.settings, next((arm.pairs for arm in first.arms if arm.name == CLEAN), 0)
    yield (
        f"{pairs} training pairs, {first.test.pairs} clean test pictures; {settings['epochs']} epochs, batches of "
        f"{settings['batch']}, trainings of each row: {settings['seeds']}."
    )
    for attacker in first.attackers:
        ends = [f"{100 * (first.mean(CLEAN, attacker, moment) or 0):.1f} % ({moment})" for moment in (BEST, LAST)]
        guess = f"chance {100 * judged_by(first.chance, 'recall@10'):.1f} %"
        yield f"{attacker} learns R@10 {', '.join(ends)} from clean files; {guess}."
    versions = ", ".join(f"{name} {number}" for name, number in first.versions.items())
    yield f"{platform.machine()}, {os.cpu_count()} cores; {versions}."
    yield (
        "Retained gain: (R@10 - chance) / (R@10 of clean files - chance), mean of both directions and of the seeds. "
        "Entries whose figures lie within two standard errors of each other are not told apart."
    )
    if any(arm.group is Group.CONTROL for arm in first.arms):
        yield "Rows that begin with clean: are matched controls: the same treatment of clean files."


def left_out(results: Results, failed: Mapping[str, str]) -> Iterator[str]:
    """Entries and rows that are missing, and why; what holds for all entries is said once."""
    yield from (f"{name}: {why}" for name, why in failed.items())
    names = defaultdict[str, list[str]](list)
    for name, comparison in results.items():
        if comparison.refusal:
            names[f"no verdict: {comparison.refusal}"].append(name)
        for row, why in comparison.inapplicable.items():
            names[f"{row} is not applicable: {why}"].append(name)
        for text in comparison.left_out:
            names[text].append(name)
    for text, entries in names.items():
        yield text if len(entries) == len(results) else f"{', '.join(entries)}: {text}"


def to_markdown(results: Results, failed: Mapping[str, str]) -> str:
    parts = [["# What attackers learn from protected files"]]
    for table in (weakest_table(results), rows_table(results)) if results else ():
        parts += [[f"{table.title}."], markdown_lines(table)]
    parts += [
        [f"- {line}" for line in about(results)],
        ["## Not run"],
        [f"- {line}" for line in left_out(results, failed)],
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def to_page(results: Results, failed: Mapping[str, str]) -> str:
    return fill(
        TEMPLATES,
        f"{NAME}.html",
        weakest=weakest_table(results),
        rows_by_entry=rows_table(results),
        headlines={name: headline(comparison) for name, comparison in results.items()},
        about=list(about(results)),
        left_out=list(left_out(results, failed)),
    )


def to_text(results: Results) -> Iterator[str]:
    """A line for each entry, the best protected first."""
    for name, arm, attacker, epoch, retained, *_ in weakest_table(results).rows:
        said = f"{retained} retained ({arm}, {attacker}, {epoch} epoch)" if attacker else headline(results[name])
        yield f"{name}: {said}"
