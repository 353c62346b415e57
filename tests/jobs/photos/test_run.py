"""A run in several processes: the same files, records and order as in one, and nothing finished is lost."""

import multiprocessing
import os
import signal
import threading
from dataclasses import replace

import pytest

from protect.jobs.photos import run
from protect.jobs.photos.job import make_job
from protect.jobs.photos.records import read_records
from protect.jobs.photos.run import protect_photos
from protect.jobs.photos.summary import estimate
from protect.settings.publish import PhotoSettings

SETTINGS = PhotoSettings(seed=7)


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Other processes are started for the first photo on."""
    monkeypatch.setattr(run, "ALONE", 0.0)


@pytest.fixture
def source(tmp_path, photo_bytes):
    """Photos of several kinds, a text, a broken file and one that is no picture."""
    root = tmp_path / "in"
    (root / "trip to Rome").mkdir(parents=True)
    for number in range(6):
        (root / f"{number}.jpg").write_bytes(photo_bytes(seed=number))
    (root / "3.txt").write_text("a boat")
    (root / "4.png").write_bytes(photo_bytes("PNG", seed=9))
    (root / "broken.jpg").write_bytes(photo_bytes()[:-300])
    (root / "moves.gif").write_bytes(b"GIF89a...")
    (root / "trip to Rome" / "x.jpg").write_bytes(photo_bytes(seed=10))
    return root


def ran(source, out, jobs, report=None):
    seen = []

    def told(record, fresh):
        seen.append((record.name, fresh))
        if report:
            report(record)

    records = protect_photos(make_job(source, out, SETTINGS), told, jobs)
    return [replace(record, seconds=0.0) for record in records.values()], seen


def files(tree, out):
    """Every file but for the lists of records, which tell times."""
    return {name: data for name, data in tree(out).items() if not name.endswith(("photos.jsonl", "photos.js"))}


def test_three_processes_do_what_one_does(source, tmp_path, tree):
    one, several = tmp_path / "one", tmp_path / "several"
    assert ran(source, one, 1) == ran(source, several, 3)
    assert files(tree, one) == files(tree, several)
    noted = [[replace(r, seconds=0.0) for r in read_records(out).values()] for out in (one, several)]
    assert noted[0] == noted[1] and {record.status for record in noted[0]} == {"protected", "failed", "skipped"}


def test_what_is_done_is_not_done_again(source, tmp_path):
    first, _ = ran(source, tmp_path / "out", 2)
    again, seen = ran(source, tmp_path / "out", 2)
    assert again == first and not any(fresh for _, fresh in seen)


def test_an_interrupted_run_keeps_what_is_finished_and_goes_on(source, tmp_path, tree):
    out = tmp_path / "out"

    def stop(record):
        if record.name == "2.jpg":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ran(source, out, 3, stop)
    protected = {name for name, record in read_records(out).items() if record.status == "protected"}
    assert {"0.jpg", "1.jpg", "2.jpg"} <= protected
    assert {str(path.relative_to(out)) for path in out.rglob("*.*") if path.name != "gallery.html"} >= protected
    assert not list(out.rglob("*.part")) and not multiprocessing.active_children()
    _, seen = ran(source, out, 3)
    assert all(not fresh for name, fresh in seen if name in protected)
    ran(source, tmp_path / "whole", 1)
    assert files(tree, out) == files(tree, tmp_path / "whole")


def test_a_process_that_is_killed_ends_the_run_in_words(source, tmp_path):
    others, ended = set(multiprocessing.active_children()), threading.Event()

    def kill():
        """As soon as they are there: they are loading for a second, with photos waiting for them."""
        while not ended.wait(0.01):
            for process in set(multiprocessing.active_children()) - others:
                os.kill(process.pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        with pytest.raises(MemoryError, match="lower --jobs"):
            ran(source, tmp_path / "out", 3)
    finally:
        ended.set()
        killer.join()


def test_a_full_out_stops_all_processes(source, tmp_path):
    out = tmp_path / "out"
    job = make_job(source, out, SETTINGS)
    (out / "4.png").mkdir()  # one photo that cannot be written is its own failure
    records = protect_photos(job, jobs=2)
    assert records["4.png"].status == "failed" and records["5.jpg"].status == "protected"


def test_a_small_run_starts_no_process(source, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "ALONE", 1e9)
    monkeypatch.setattr(run, "ProcessPoolExecutor", None)
    records, _ = ran(source, tmp_path / "out", 4)
    assert sum(record.status == "protected" for record in records) == 8


def test_an_estimate_shares_the_time_out(source, tmp_path, monkeypatch):
    monkeypatch.setattr("protect.jobs.photos.summary._pace", lambda job, entries: 10.0)
    job = make_job(source, tmp_path / "out", SETTINGS, dry=True)
    assert (estimate(job, 1)["seconds"], estimate(job, 4)["seconds"]) == (90.0, 22.5)
    assert "about 22 s with 4 processes" in estimate(job, 4)["text"]
    assert estimate(job, 100)["processes"] == 9
