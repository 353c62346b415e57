"""Offline HTML pages from templates: no script, no link to the outside, colours by the reader's choice."""

from pathlib import Path
from typing import Any

from protect.report.tables import percent

SHARED = Path(__file__).parent / "templates"


def fill(folder: Path, template: str, **values: Any) -> str:
    """A page from a template of `folder`, which may include what all pages share (page.css, table.html).

    Values are escaped. A name that the template uses and nobody gave is an error of ours.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([folder, SHARED]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = percent
    return environment.get_template(template).render(**values).replace(" %", "\N{NO-BREAK SPACE}%")
