"""A table once, for every medium: cells as text, laid out for a terminal or as Markdown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean


@dataclass(frozen=True)
class Table:
    """Rows of cells below a header; the first `names` columns are words, the others figures.

    `title` says in a sentence what is shown. `marks` are words beside a row, by its number: what to look at.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    names: int = 1
    marks: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        widths = {len(row) for row in self.rows} - {len(self.header)}
        if widths:
            found = ", ".join(map(str, sorted(widths)))
            raise ValueError(f"{self.title}: expected {len(self.header)} cells in every row, got {found}")


def text_lines(table: Table) -> list[str]:
    """Columns of one width each, figures to the right, marks behind the row."""
    rows = (table.header, *table.rows)
    widths = [max(len(row[i]) for row in rows) for i in range(len(table.header))]

    def line(row: Sequence[str]) -> str:
        cells = [
            cell.ljust(width) if i < table.names else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(cells)

    ruler = "  ".join("-" * width for width in widths)
    marked = [f"{line(row)}  {mark(table, i)}".rstrip() for i, row in enumerate(table.rows)]
    return [line(table.header).rstrip(), ruler, *marked]


def markdown_lines(table: Table) -> list[str]:
    """A table of Markdown; marks stand in the first cell."""
    ruler = "|" + " --- |" * table.names + " ---: |" * (len(table.header) - table.names)
    lines = [_markdown(table.header), ruler]
    for i, (first, *others) in enumerate(table.rows):
        lines.append(_markdown([f"{first} {mark(table, i)}".rstrip(), *others]))
    return lines


def mark(table: Table, row: int) -> str:
    return f"<- {table.marks[row]}" if row in table.marks else ""


def _markdown(cells: Sequence[str]) -> str:
    return "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |"


def percent(share: float | None) -> str:
    """A share as a whole per cent, "-" when there is none."""
    return "-" if share is None else f"{round(100 * share)} %"


def spread(values: Sequence[float], form: str, middle: bool = True) -> str:
    """Mean (lowest..highest), or without the mean; one value when all print alike, "-" when there is none."""
    if not values:
        return "-"
    low, high = form.format(min(values)), form.format(max(values))
    if low == high:
        return low
    return f"{form.format(mean(values))} ({low}..{high})" if middle else f"{low}..{high}"
