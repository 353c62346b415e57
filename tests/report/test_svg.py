"""A chart is well-formed, named for those who cannot see it, and keeps inside its axes."""

import re
from xml.etree import ElementTree

import pytest

from protect.report.svg import Chart, Line, apart, ticks


def test_a_chart_is_well_formed_and_named():
    line = Line(
        "a < b & c, a name too long to fit", "clean", ((0.0, 0.0), (2.0, 50.0)), ((0.0, 0.0), (40.0, 60.0)), True
    )
    text = Chart("n: <x>", "falls & rises", "x", "y", (line,), (0.0, 1.0, 2.0), (("chance", 5.0),)).draw()
    root = ElementTree.fromstring(text)
    names = {element.get("id"): element.text for element in root if element.get("id")}
    assert root.get("role") == "img" and set(root.get("aria-labelledby").split()) == set(names)
    assert list(names.values()) == ["n: <x>", "falls & rises"]
    labels = [element.text for element in root if "label" in (element.get("class") or "")]
    assert labels == ["a < b & c, a name …", "chance"]
    assert not re.search(r"#[0-9a-f]{3}|rgb\(|fill=|stroke=", text)  # colours are the style sheet's


def test_a_chart_keeps_inside_its_axes():
    chart = Chart("n", "t", "x", "y", (Line("a", "clean", ((0.0, -3.0), (9.0, 104.0))),), (0.0, 9.0))
    assert chart.y(104.0) >= 12 and chart.y(-3.0) <= 300 - 44
    assert chart.x(0.0) == 42 and chart.x(9.0) == 430 - 170


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (0, 67, [0, 20, 40, 60, 80]),
        (0, 100, [0, 20, 40, 60, 80, 100]),
        (0, 4, [0, 1, 2, 3, 4]),
        (-3, 12, [-5, 0, 5, 10, 15]),
        (0, 0, [0, 0.2, 0.4, 0.6, 0.8, 1]),
    ],
)
def test_ticks_are_round_and_enclose(low, high, expected):
    assert ticks(float(low), float(high)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ([10.0, 50.0], [10.0, 50.0]),
        ([10.0, 12.0, 13.0], [10.0, 20.0, 30.0]),
        ([95.0, 96.0], [90.0, 100.0]),
        ([], []),
    ],
)
def test_labels_are_kept_apart(wanted, expected):
    assert apart(wanted, 10.0, 0.0, 100.0) == expected
