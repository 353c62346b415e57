"""The report as plain text: for the terminal, and as a Markdown file."""

from collections.abc import Iterable, Iterator

from protect.report.tables import Table, markdown_lines, text_lines
from protect.verify.records import Group
from protect.verify.report.contents import (
    arms_table,
    checks_table,
    classes_table,
    data_table,
    dilution_table,
    distortion_table,
    explained,
    hashes,
    settings_table,
    transfer_table,
)
from protect.verify.report.findings import notes, untested
from protect.verify.report.summary import first_lines, headline
from protect.verify.result import Comparison


def to_text(comparison: Comparison) -> str:
    """For a terminal: the sentence, one table of all rows, then what needs few lines."""
    parts: list[list[str]] = [[headline(comparison), *first_lines(comparison)]]
    if comparison.runs:
        parts.append(text_lines(arms_table(comparison, comparison.arms, "All rows")))
    if comparison.group(Group.MIXTURE):
        table = dilution_table(comparison)
        parts.append([f"{table.title}:", *text_lines(table)])
    for short in (classes_table(comparison), distortion_table(comparison), checks_table(comparison)):
        if short is not None:
            parts.append([f"{short.title}:", *text_lines(short)])
    said = [*_cheap_notes(comparison), *notes(comparison), *(f"Not tested: {text}" for text in untested(comparison))]
    return "\n\n".join("\n".join(part) for part in [*parts, said] if part)


def _cheap_notes(comparison: Comparison) -> Iterator[str]:
    if comparison.cheap is not None:
        yield from (f"Leak: {leak}" for leak in comparison.cheap.leaks)
        yield from comparison.cheap.notes


def to_markdown(comparison: Comparison) -> str:
    """The report file, pictures and curves aside."""
    parts = [
        ["# What an attacker learns from the published files"],
        [headline(comparison)],
        _list(first_lines(comparison)),
    ]
    parts.append(_list(notes(comparison)))
    if comparison.runs:
        parts += _section(
            "Mandatory rows",
            arms_table(comparison, comparison.group(Group.MANDATORY), "The six rows that a verdict needs"),
        )
        parts.append([explained(comparison)])
        others = [arm for arm in comparison.arms if arm.group is not Group.MANDATORY]
        if others:
            parts += _section("Countermeasures and other rows", arms_table(comparison, others, "All other rows"))
        parts += _section("Transfer", transfer_table(comparison))
    if comparison.group(Group.MIXTURE):
        parts += _section("Mixtures", dilution_table(comparison))
    for name, table in (
        ("Classes", classes_table(comparison)),
        ("Imperceptibility", distortion_table(comparison)),
        ("Cheap checks", checks_table(comparison)),
    ):
        parts += [] if table is None else _section(name, table)
    parts.append(_list(_cheap_notes(comparison)))
    parts += [["## Not tested"], _list(untested(comparison))]
    parts += [
        ["## Data, settings and versions"],
        markdown_lines(data_table(comparison)),
        markdown_lines(settings_table(comparison)),
    ]
    parts.append(_list(f"`{digest}` {file} ({row})" for row, file, digest in hashes(comparison)))
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _section(name: str, table: Table) -> list[list[str]]:
    return [[f"## {name}"], [f"{table.title}."], markdown_lines(table)]


def _list(items: Iterable[str]) -> list[str]:
    return [f"- {item}" for item in items]
