"""What a run tells while it works: lines, bars on a terminal, events for machines."""

import json
import re

import pytest

from protect.cli import common
from protect.cli.common import Reporter, as_event, describe
from protect.jobs.progress import Pace, Pictures, ShardDone

STATS = {"count": 40, "protected": 38, "failed_to_protect": 2}
DONE = ShardDone("00001.tar", STATS, 4.0, 3, 12.4)
BEFORE = ShardDone("00000.tar", STATS, 0.0, 4)
FAILED = ShardDone("00002.tar", {**STATS, "count": 0, "protected": 0}, 1.0, 2, 9.0, "00002.tar: expected a tar")


def test_one_line_a_shard(capsys):
    with Reporter(5, quiet=False) as report:
        for event in ("fitted", BEFORE, Pictures("00001.tar", 12), DONE, FAILED):
            report(event)
    assert capsys.readouterr().err.splitlines() == [
        "fitted",
        "00000.tar: done before, 38 of 40 protected",
        "00001.tar: 38 of 40 protected, 2 failed, 10.0 images/s, about 12 s left",
        "00002.tar: failed: 00002.tar: expected a tar",
    ]


def test_events_for_machines(capsys):
    with Reporter(5, quiet=False, as_json=True) as report:
        for event in ("fitted", Pictures("00001.tar", 12), DONE, FAILED):
            report(event)
    note, pictures, done, failed = map(json.loads, capsys.readouterr().err.splitlines())
    assert note == {"event": "note", "text": "fitted"}
    assert pictures == {"event": "pictures", "shard": "00001.tar", "done": 12}
    assert done["state"] == "done" and done["images_per_second"] == 10 and done["seconds_left"] == 12.4
    assert (failed["state"], failed["reason"]) == ("failed", "00002.tar: expected a tar")
    assert as_event(BEFORE)["state"] == "done before" and as_event(BEFORE)["images_per_second"] is None


def test_bars_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(common, "shows_bar", lambda quiet: not quiet)
    with Reporter(2, quiet=False) as report:
        report(Pictures("00001.tar", 12))
        described = [task.description for task in report.bar.tasks]
        assert described == ["shards", "  00001.tar"]
        assert re.fullmatch(r"12 images, [\d.]+ images/s", report.bar.tasks[1].fields["done"])
        report(Pictures("00001.tar", 30))
        assert report.pictures == 30
        report(DONE)
        assert report.pictures == 40 and [task.description for task in report.bar.tasks] == ["shards"]
        assert report.bar.tasks[0].completed == 1 and report.bar.tasks[0].fields["done"].startswith("1/2, ")
        report(FAILED)
    assert "images/s" in capsys.readouterr().err


def test_nothing_is_told_when_quiet(capsys):
    for as_json in (True, False):
        with Reporter(2, quiet=True, as_json=as_json) as report:
            report(DONE)
            report(Pictures("x", 1))
    assert capsys.readouterr().err == ""


def test_time_left_comes_from_what_the_run_has_made_itself(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    pace = Pace(left=4, begin=100.0)
    assert pace.count(was_made=False) is None
    now[0] = 110.0
    assert pace.count(was_made=True) == 20
    now[0] = 120.0
    assert pace.count(was_made=True) == 10
    assert pace.count(was_made=True) is None and pace.left == 0
    assert describe(DONE).endswith("about 12 s left") and pytest.approx(12.4) == DONE.seconds_left
