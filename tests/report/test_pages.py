"""Pages are filled from a template beside the caller and from what all pages share."""

import pytest

from protect.report.pages import fill
from protect.report.tables import Table


@pytest.fixture
def page(tmp_path):
    """page(template, **values): the template filled."""

    def make(template, **values):
        (tmp_path / "page.html").write_text(template)
        return fill(tmp_path, "page.html", **values)

    return make


def test_values_are_escaped_and_per_cents_kept_on_one_line(page):
    assert page("{{ name }}: {{ share | percent }}", name="<b>", share=0.42) == "&lt;b&gt;: 42\N{NO-BREAK SPACE}%"


def test_tables_and_styles_are_shared(page):
    table = Table("What & why", ("name", "figure"), (("a", "1"),), marks={0: "worst"})
    text = page(
        '{% from "table.html" import rows %}<style>{% include "page.css" %}</style>{{ rows(table) }}', table=table
    )
    assert "What &amp; why" in text and "worst" in text and "--ground" in text


def test_a_missing_value_is_an_error(page):
    from jinja2 import UndefinedError

    with pytest.raises(UndefinedError, match="headline"):
        page("{{ headline }}")
