"""Charts hold the figures they show, in words too, and are well-formed."""

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from protect.verify.records import MANDATORY, Group
from protect.verify.report.figures import bars, curve_arms, curves, dilution, matrix, reach
from protect.verify.report.svg import Chart, Line, apart, ticks


def test_each_attacker_has_its_curves(comparison):
    found = comparison()
    charts = curves(found)
    assert [chart.name for chart in charts] == ["tiny-resnet: R@10 by epoch", "tiny-vit: R@10 by epoch"]
    assert [line.name for line in charts[0].lines] == [*MANDATORY, "strong-augmentation"] == curve_arms(found)
    clean = charts[0].lines[0]
    assert clean.points[0] == (0.0, pytest.approx(5)) and clean.points[-1] == (4.0, pytest.approx(65))
    assert charts[0].levels == (("chance 5.0 %", pytest.approx(5)),)
    assert "clean ends at 65.0 %" in charts[0].text and "chance is 5.0 %" in charts[0].text
    assert [line.name for line in charts[0].lines if "weakest" in line.kind] == ["strong-augmentation"]


def test_bands_show_the_seeds(comparison):
    assert curves(comparison())[0].lines[0].band == ()
    low, high = curves(comparison(seeds=2))[0].lines[0].band[-1]
    assert (low, high) == (pytest.approx(65), pytest.approx(67.4))


def test_bars_are_worst_first(comparison):
    found = comparison()
    rows = bars(found)
    assert [row.name for row in rows][:3] == ["random-noise", "random-trigger", "strong-augmentation"]
    assert [row.name for row in rows if row.weakest] == ["strong-augmentation"]
    assert [row.name for row in rows if row.control] == ["random-noise", "random-trigger"]
    assert not {"mix-50", "absent-50", "other", "clean"} & {row.name for row in rows}
    assert [bar.drawn for bar in rows[2].bars] == [pytest.approx(0.41)] * 2 and reach(found) == 1


def test_bars_never_leave_their_track(comparison):
    shares = dict.fromkeys(MANDATORY, 0.5) | {"clean": 1.0, "protected": 1.6, "jpeg-75": -0.2, "mix-50": 3.0}
    found = comparison(shares, gain=0.4)
    assert reach(found) == pytest.approx(1.6)
    drawn = {row.name: row.bars[0].drawn for row in bars(found)}
    assert drawn["protected"] == pytest.approx(1) and drawn["jpeg-75"] == 0
    assert {row.name: row.bars[0].share for row in bars(found)}["jpeg-75"] == "-10 %"  # the best epoch, the first


def test_without_shares_nothing_is_drawn(comparison):
    found = comparison(gain=0.01)
    assert bars(found) == [] and reach(found) == 1
    assert [cell.share for cell in matrix(found, ["protected"])[0][1]] == ["-", "-"]


def test_the_heat_of_the_matrix_is_its_share(comparison):
    (row,) = matrix(comparison(), ["other"])
    assert row[0] == "other" and [(cell.share, cell.heat) for cell in row[1]] == [("60 %", pytest.approx(0.6))] * 2


def test_dilution_needs_two_mixtures_to_draw(comparison):
    found = comparison()
    chart = dilution(found)
    assert chart.lines[0].points == ((50.0, pytest.approx(10)), (100.0, pytest.approx(12)))
    assert {line.kind.split()[1] for line in chart.lines} == {"circle", "square"}
    few = tuple(arm for arm in found.arms if arm.group is not Group.MIXTURE)
    assert dilution(replace(found, arms=few)) is None


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
