"""Charts hold the figures they show, in words too, and are well-formed."""

from dataclasses import replace

import pytest

from protect.verify.records import MANDATORY, Group
from protect.verify.report.figures import bars, curve_arms, curves, dilution, matrix, reach


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
