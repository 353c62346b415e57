"""Tables for the terminal and Markdown, whatever is in them."""

import pytest

from protect.report.tables import Table, markdown_lines, percent, spread, text_lines

SMALL = Table(
    "Two rows", ("name", "kind", "figure"), (("a|b", "x", "1"), ("c", "long kind", "10.5")), 2, {1: "weakest"}
)


def test_words_stand_left_and_figures_right():
    assert text_lines(SMALL) == [
        "name  kind       figure",
        "----  ---------  ------",
        "a|b   x               1",
        "c     long kind    10.5  <- weakest",
    ]


def test_markdown_escapes_and_aligns():
    assert markdown_lines(SMALL) == [
        "| name | kind | figure |",
        "| --- | --- | ---: |",
        "| a\\|b | x | 1 |",
        "| c <- weakest | long kind | 10.5 |",
    ]


def test_rows_of_another_width_are_an_error():
    with pytest.raises(ValueError, match="expected 2 cells in every row, got 3"):
        Table("t", ("a", "b"), (("1", "2", "3"),))


@pytest.mark.parametrize(
    ("share", "text"), [(None, "-"), (0.412, "41 %"), (-0.001, "0 %"), (-0.04, "-4 %"), (1.2, "120 %")]
)
def test_shares_are_whole_per_cents(share, text):
    assert percent(share) == text


@pytest.mark.parametrize(
    ("values", "middle", "text"),
    [
        ([], True, "-"),
        ([1.0, 1.04], True, "1.0"),
        ([1.0, 2.0], True, "1.5 (1.0..2.0)"),
        ([1.0, 2.0], False, "1.0..2.0"),
    ],
)
def test_the_spread_over_seeds(values, middle, text):
    assert spread(values, "{:.1f}", middle) == text
