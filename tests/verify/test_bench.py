"""One command from a clean set to a table of methods and external files; what one entry trained serves the others."""

import json

import pytest

from protect.verify import comparison
from protect.verify.records import Cheap, EpochResult, Pictures
from protect.verify.runs import schedule as trainings

FAST = (
    "--attackers",
    "tiny-resnet",
    "--epochs",
    "1",
    "--batch",
    "4",
    "--size",
    "32",
    "--device",
    "cpu",
    "--jobs",
    "1",
)
FAST = (*FAST, "--rows", "grayscale", "--seeds", "1")
CHECKED = Cheap((), {}, 8.0, 30.0, 0.9, None, None, 0.5, {})


@pytest.fixture
def data(clean, make_shard, pair, tmp_path):
    """A folder with the folders train and test."""
    (tmp_path / "data" / "test").mkdir(parents=True)
    make_shard(tmp_path / "data" / "test" / "0.tar", {f"{i:09}": pair(i) for i in range(100, 140)})
    return clean(tmp_path / "data" / "train", 12).parent


@pytest.fixture
def trained(monkeypatch):
    """Training that takes no time: the first row, clean, teaches all, the others 70 % of it; the captions used."""
    rows = []

    def epoch(number, score):
        ways = ("image_retrieval", "text_retrieval")
        metrics = {f"{way}_recall@{k}": score for way in ways for k in (1, 5, 10)}
        ranks = {"median_rank": 9.0, "mean_percentile_rank": score}
        metrics |= {f"{way}_{name}": value for way in ways for name, value in ranks.items()}
        return EpochResult(number, 2.5, metrics, 1.0, pictures=Pictures((score,) * 40, (score,) * 40))

    def fake(pairs, test, name, settings, seed, steps, defence, transformed):
        rows.append(pairs.captions)
        score = 0.85 if len(rows) == 1 else 0.67
        return iter([epoch(number, score if number else 0.3) for number in range(settings.epochs + 1)])

    monkeypatch.setattr(trainings, "train", fake)
    monkeypatch.setattr(comparison, "cheap", lambda *_: CHECKED)
    return rows


def test_methods_and_entries_share_the_clean_trainings_and_a_table(
    data, trained, command, make_shard, pair, tmp_path
):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    make_shard(theirs / "0.tar", {f"{i:09}": pair(300 + i) | {"txt": f"zebra {pair(i)['txt']}"} for i in range(12)})
    out = tmp_path / "out"
    arguments = (data, "-o", out, "--methods", "clean,random", "--entry", f"theirs={theirs}", *FAST)
    ran = command("bench", *arguments)
    assert ran.code == 0, ran.err
    lines = ran.out.splitlines()
    assert {line.split(":")[0] for line in lines[:3]} == {"clean", "random", "theirs"}
    assert all(": 70 ± 0 % retained (" in line for line in lines[:3]) and lines[3].startswith("table: ")
    assert ran.err.count("clean, tiny-resnet, seed 0: finished before") == 2  # of the second and the third entry

    table = (out / "leaderboard.md").read_text()
    assert "| grayscale | tiny-resnet |" in table and "| row | attacker | clean | random | theirs |" in table
    assert (
        "12 training pairs, 40 clean test pictures" in table
        and table.count("adaptive rows that were not asked for") == 1
    )
    assert "- clean: random-noise is not applicable: " in table
    page = (out / "leaderboard.html").read_text()
    assert '<a href="theirs/report.html">theirs</a>' in page and "grayscale" in page
    records = json.loads((out / "leaderboard.json").read_text())
    assert {record["task"] for record in records} == {"zeroshot_retrieval"}
    assert {record["dataset"].split(":")[0] for record in records} == {"clean", "random", "theirs"}

    done = len(trained)
    again = command("bench", *arguments)
    assert again.code == 0 and again.out == ran.out and len(trained) == done


def test_an_entry_that_does_not_belong_to_the_data_is_left_out(data, trained, command, make_shard, pair, tmp_path):
    (tmp_path / "alien").mkdir()
    make_shard(tmp_path / "alien" / "0.tar", {f"other{i}": pair(i) for i in range(12)})
    ran = command(
        "bench", data, "-o", tmp_path / "out", "--methods", "clean", "--entry", f"alien={tmp_path}/alien", *FAST
    )
    assert ran.code == 1 and ran.out.startswith("clean: ")
    assert "- alien: " in (tmp_path / "out" / "leaderboard.md").read_text() and "expected" in ran.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--methods", "clean,bleach"), "methods: expected some of clean, "),
        (("--entry", "clean=x"), "--entry: expected NAME=FOLDER, each name once"),
        (("--entry", "../up=x"), "--entry: expected NAME=FOLDER"),
    ],
)
def test_bad_input_is_one_line(data, trained, command, arguments, message, tmp_path):
    ran = command("bench", data, "-o", tmp_path / "out", *arguments, *FAST)
    assert ran.code == 2 and message in ran.err.splitlines()[-1]
