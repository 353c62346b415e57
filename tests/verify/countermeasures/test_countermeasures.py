import ast
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from protect.settings.verify import VerifySettings
from protect.verify.countermeasures import COUNTERMEASURES, STANDARD, losses
from protect.verify.countermeasures.augmentation import VIEWS
from protect.verify.countermeasures.base import PLAIN, Changed
from protect.verify.defences import DEFENCES
from protect.verify.reading.pairs import Pairs

ROWS = list(COUNTERMEASURES.values())
PAIRS = Pairs(("a", "b"), [np.zeros((8, 8, 3), np.uint8)] * 2, (("one two three", "four"), ("five six",)))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_does_something_or_says_what_it_needs(row):
    assert row.help and row.name == row.name.lower()
    does = row.picture or row.captions or row.pairs or row.regime != PLAIN
    assert does or row.from_clean or (row.setting and row.from_setting)
    assert row.regime.view in (None, *VIEWS) and row.regime.defence in DEFENCES
    assert row.setting is None or hasattr(VerifySettings(), row.setting)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_reaches_other_processes(row):
    assert pickle.loads(pickle.dumps(row)).name == row.name


def test_every_view_and_defence_has_a_row():
    assert {row.regime.view for row in ROWS} >= {*VIEWS}
    assert {row.regime.defence for row in ROWS} == {*DEFENCES}


def test_the_standard_rows_run_without_weights():
    assert all(COUNTERMEASURES[name].setting is None for name in STANDARD)


def test_what_was_dropped_is_counted():
    fewer = replace(PAIRS, keys=("a",), pictures=PAIRS.pictures[:1], captions=(("two three", "four"),))
    assert losses(PAIRS, fewer) == (0.5, 0.5)
    shorter = replace(PAIRS, captions=(("two three", "four"), ("five six",)))
    assert losses(PAIRS, shorter) == (0, pytest.approx(1 / 6))
    assert losses(PAIRS, PAIRS) == losses(shorter, PAIRS) == (0, 0)


def test_changed_pictures_are_made_when_asked_for():
    made = []
    pictures = Changed(3, lambda i: made.append(i) or np.full((2, 2, 3), i, np.uint8))
    assert len(pictures) == 3 and not made
    assert pictures[-1][0, 0, 0] == 2 and [p[0, 0, 0] for p in pictures[:2]] == [0, 1] and made == [2, 0, 1]
    assert [picture[0, 0, 0] for picture in pictures] == [0, 1, 2]
    with pytest.raises(IndexError):
        pictures[3]


def test_countermeasures_do_not_know_how_files_are_protected():
    folder = Path(__file__).parents[3] / "protect" / "verify" / "countermeasures"
    found = set()
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module)
    assert "protect.verify.reading.pairs" in found
    hidden = ("protect.methods", "protect.jobs", "protect.publish.gate")
    assert not [name for name in found if name.startswith(hidden)]
