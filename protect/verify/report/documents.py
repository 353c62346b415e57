"""The report as plain text: for the terminal, and as a Markdown file."""

from collections.abc import Iterable, Iterator

from protect.verify.report.contents import (
    arms_table,
    checks_table,
    data_table,
    dilution_table,
    distortion_table,
    explained,
    hashes,
    making_table,
    transfer_table,
)
from protect.verify.report.findings import headline, notes, place, twin_words, untested
from protect.verify.report.tables import Table, markdown_lines, percent, text_lines
from protect.verify.result import Comparison


def to_text(found: Comparison) -> str:
    """For a terminal: the sentence, one table of all rows, then what needs few lines."""
    parts: list[list[str]] = [[headline(found), *weakest_line(found)]]
    if found.runs:
        parts.append(text_lines(arms_table(found, found.arms, "All rows")))
    if found.group("dilution"):
        table = dilution_table(found)
        parts.append([f"{table.title}:", *text_lines(table)])
    for short in (distortion_table(found), checks_table(found)):
        if short is not None:
            parts.append([f"{short.title}:", *text_lines(short)])
    said = [*_cheap_notes(found), *notes(found), *(f"Not tested: {text}" for text in untested(found))]
    return "\n\n".join("\n".join(part) for part in [*parts, said] if part)


def weakest_line(found: Comparison) -> Iterator[str]:
    """The row that decides, and what was required of it."""
    weakest = found.weakest()
    if weakest is not None:
        of_twin = twin_words(found, weakest)
        yield (
            f"Weakest row: {weakest.arm} ({place(weakest)}), {percent(weakest.share)} of the clean gain kept"
            f"{f'; {of_twin}' if of_twin else ''}."
        )
    if require := found.settings.get("require"):
        yield f"Required: {require}; {'met' if found.passed else 'not met'}."


def _cheap_notes(found: Comparison) -> Iterator[str]:
    if found.cheap is not None:
        yield from (f"Leak: {leak}" for leak in found.cheap.leaks)
        yield from found.cheap.notes


def to_markdown(found: Comparison) -> str:
    """The report file, pictures and curves aside."""
    parts = [["# What an attacker learns from the published files"], [headline(found)], list(weakest_line(found))]
    parts.append(_list(notes(found)))
    if found.runs:
        parts += _section("Arms", arms_table(found, found.group("mandatory"), "The six arms that a verdict needs"))
        parts.append([explained(found)])
        others = [arm for arm in found.arms if arm.group != "mandatory"]
        if others:
            parts += _section("Countermeasures and other rows", arms_table(found, others, "All other rows"))
        parts += _section("Transfer", transfer_table(found))
    if found.group("dilution"):
        parts += _section("Dilution", dilution_table(found))
    for name, table in (("Imperceptibility", distortion_table(found)), ("Cheap checks", checks_table(found))):
        parts += [] if table is None else _section(name, table)
    parts.append(_list(_cheap_notes(found)))
    parts += [["## Not tested"], _list(untested(found))]
    parts += [["## How it was made"], markdown_lines(data_table(found)), markdown_lines(making_table(found))]
    parts.append(_list(f"`{digest}` {file} ({row})" for row, file, digest in hashes(found)))
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _section(name: str, table: Table) -> list[list[str]]:
    return [[f"## {name}"], [f"{table.title}."], markdown_lines(table)]


def _list(items: Iterable[str]) -> list[str]:
    return [f"- {item}" for item in items]
