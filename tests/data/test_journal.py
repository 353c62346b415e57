"""The journal that interrupted runs resume from: what was added stays, what was cut short does not."""

import json
import stat

import pytest

from protect.data.journal import Journal


def test_values_come_back_in_order(tmp_path):
    journal = Journal(tmp_path / "new" / "a.jsonl")
    assert list(journal.read()) == []
    values = [{"name": "b\udcff \u00fc", "text": "x\ny"}, [1, 2.5, None], "z"]
    for value in values:
        journal.append(value)
    assert list(journal.read()) == values
    journal.rewrite(values[1:])
    journal.append(7)
    assert list(journal.read()) == [*values[1:], 7]


@pytest.mark.parametrize("torn", ['{"name": "half', '{"whole": 1}', "12", "x" * 10_000])
def test_a_line_without_its_end_is_ignored_and_the_next_one_is_whole(tmp_path, torn):
    journal = Journal(tmp_path / "a.jsonl")
    journal.append("first")
    with journal.path.open("a") as file:
        file.write(torn)  # a kill in the middle of writing; of 123, 12 may be left
    assert list(journal.read()) == ["first"]
    journal.append("second")
    assert list(journal.read()) == ["first", "second"]


def test_a_torn_first_line_leaves_an_empty_journal(tmp_path):
    journal = Journal(tmp_path / "a.jsonl")
    journal.path.write_text("{")
    assert list(journal.read()) == []
    journal.append(1)
    assert journal.path.read_text() == "1\n"


def test_a_damaged_line_is_named(tmp_path):
    journal = Journal(tmp_path / "a.jsonl")
    journal.path.write_text('1\nnonsense\n"last"\n')
    with pytest.raises(ValueError, match=r"a\.jsonl, line 2: expected JSON, found 'nonsense'"):
        list(journal.read())


def test_a_failed_rewrite_leaves_the_old_values(tmp_path):
    journal = Journal(tmp_path / "a.jsonl")
    journal.append("old")
    with pytest.raises(TypeError):
        journal.rewrite(["new", object()])
    assert list(journal.read()) == ["old"] and json.loads(journal.path.read_text()) == "old"


@pytest.mark.parametrize("first", ["append", "rewrite"])
def test_a_private_journal_is_private_from_its_first_line(tmp_path, first):
    journal = Journal(tmp_path / "a.jsonl", mode=0o600)
    journal.append(1) if first == "append" else journal.rewrite([1])
    journal.append(2)
    assert stat.S_IMODE(journal.path.stat().st_mode) == 0o600
