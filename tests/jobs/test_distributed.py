"""Shards on many processes and in object storage: the bytes of one process on one disk, whatever is killed."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from small_run import PUBLISH, RECIPE

from protect.data.storage import place
from protect.data.storage_errors import Transient
from protect.files import PlanError
from protect.jobs import executors
from protect.jobs.executors import Distribution, attempts
from protect.jobs.lock import only_one
from protect.jobs.marker import MarkerError
from protect.jobs.parts import Part, part_of
from protect.jobs.plan import make_plan
from protect.jobs.progress import ShardDone
from protect.jobs.reference import ShardReference
from protect.jobs.shards import protect_shards
from protect.jobs.status import lines, status
from protect.jobs.task import protect_shard
from protect.methods.protector import Protector
from protect.settings.publish import PublishSettings

ENDS = (".tar", ".parquet", "_stats.json", ".jsonl")


@pytest.fixture(scope="module")
def source(tmp_path_factory, clean):
    """Four shards, one of them with a parquet that is broken off."""
    return clean(tmp_path_factory.mktemp("clean") / "in", 3, 2, 3, 2, parquet=True)


@pytest.fixture(scope="module")
def local(source, protector, tree):
    """What one process writes on one disk."""
    out = source.parent / "local"
    protect_shards(make_plan([str(source)], out, PUBLISH), RECIPE, protector)
    return shard_files(tree(out))


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(attempts, "WAIT", 0.0)


def shard_files(files):
    """The files of the shards, private ones too."""
    private = ("_protect/log", "_protect/manifest")
    return {name: data for name, data in files.items() if name.endswith(ENDS) and not name.startswith(private)}


def protect(source, out, protector, how=None, publish=PUBLISH, report=lambda event: None):
    return protect_shards(make_plan([str(source)], str(out), publish), RECIPE, protector, report, how=how)


# --- object storage


def test_a_run_in_s3_writes_the_bytes_of_a_local_one(source, protector, local, bucket):
    remote = bucket.put(source, "in")
    done = protect(remote, f"s3://{bucket.name}/out", protector)
    assert [stats["protected"] for stats in done] == [3, 2, 3, 2]
    files = bucket.tree("out")
    markers = {name for name in files if name.endswith(".done.json")}
    assert {name: data for name, data in files.items() if name in local} == local
    assert set(files) - set(local) == markers | {
        "_protect/manifest.jsonl", "_protect/run.json", "_protect/private/job.json"
    }  # fmt: skip
    assert len(markers) == 4 and bucket.uploads() == []
    events = []
    assert protect(remote, f"s3://{bucket.name}/out", protector, report=events.append) == done
    assert [event.seconds for event in events if isinstance(event, ShardDone)] == [0, 0, 0, 0]
    assert bucket.tree("out") == files


def test_a_run_that_fits_in_s3_keeps_its_protector_there(source, bucket, tree, tmp_path):
    remote = bucket.put(source, "in")
    protect(remote, f"s3://{bucket.name}/out", None)
    protect_shards(make_plan([str(source)], tmp_path / "out", PUBLISH), RECIPE, None)
    files, here = bucket.tree("out"), tree(tmp_path / "out")
    assert not [name for name in here if not name.endswith("job.json") and files.get(name) != here[name]]


def test_a_marker_says_what_its_shard_was_made_from_and_by_what(source, protector, bucket):
    remote, out = bucket.put(source, "in"), f"s3://{bucket.name}/out"
    protect(remote, out, protector)
    marker = json.loads(bucket.tree("out")["_protect/private/00001.done.json"])
    assert set(marker["hashes"]) == {"input", "output", "parquet", "protector", "settings"}
    assert marker["hashes"]["protector"] == protector.hash
    shard = make_plan([remote], out, PUBLISH).shards[1]
    reference = ShardReference(shard, place(out), "00001.tar", "run")
    other = Protector(replace(RECIPE, fit=replace(RECIPE.fit, seed=1)), protector.fitted, 32, "", 2)
    for by, settings, what in ((other, PUBLISH, "protector"), (protector, PublishSettings(), "settings")):
        with pytest.raises(
            MarkerError, match=f"expected the marker of this run, found one with another {what}; choose"
        ):
            protect_shard(reference, by, settings)


def test_a_shard_that_has_changed_since_it_was_done_is_an_error(source, protector, bucket):
    remote, out = bucket.put(source, "in"), f"s3://{bucket.name}/out"
    (shard, *_) = make_plan([remote], out, PUBLISH).shards
    protect_shard(ShardReference(shard, place(out), "00000.tar", "run"), protector, PUBLISH)
    shard.write_bytes((source / "00002.tar").read_bytes())
    with pytest.raises(MarkerError, match="another input"):
        protect_shard(ShardReference(shard.looked_up(), place(out), "00000.tar", "run"), protector, PUBLISH)
    shard.write_bytes((source / "00000.tar").read_bytes())  # written again with the same bytes
    again = protect_shard(ShardReference(shard.looked_up(), place(out), "00000.tar", "run"), protector, PUBLISH)
    assert again.seconds == 0
    place(f"{out}/00000.tar").unlink()
    assert protect_shard(
        ShardReference(shard.looked_up(), place(out), "00000.tar", "run"), protector, PUBLISH
    ).seconds


def test_two_that_do_the_same_shard_at_once_write_the_same(source, protector, bucket, local):
    out = f"s3://{bucket.name}/out"
    reference = ShardReference(source / "00000.tar", place(out), "00000.tar", "run")
    reports = []
    threads = [
        threading.Thread(target=lambda: reports.append(protect_shard(reference, protector, PUBLISH)))
        for _ in range(2)
    ]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(reports) == 2 and reports[0].stats == reports[1].stats
    assert bucket.tree("out")["00000.tar"] == local["00000.tar"]


def test_faults_that_pass_are_waited_for(source, protector, bucket, local, quick, monkeypatch):
    remote, tries, true = bucket.put(source, "in"), [], attempts.protect_shard

    def faulty(reference, *arguments):
        """Storage is away while a shard is first tried: from the first request, or from the fifth."""
        tries.append(reference.name)
        bucket.fail(count=5 if tries.count(reference.name) == 1 else 0, after=4 * (reference.name > "00001"))
        return true(reference, *arguments)

    monkeypatch.setattr(attempts, "protect_shard", faulty)
    done = protect(remote, f"s3://{bucket.name}/out", protector)
    assert all(stats["protected"] for stats in done) and len(tries) > 4
    files = bucket.tree("out")
    assert {name: data for name, data in files.items() if name in local} == local


def test_a_store_that_stays_away_fails_shards_which_can_be_retried(
    source, protector, bucket, local, quick, monkeypatch
):
    remote, out = bucket.put(source, "in"), f"s3://{bucket.name}/out"
    true = attempts.protect_shard

    def broken(reference, *arguments):
        if reference.name == "00001.tar":
            raise Transient(f"{reference.source}: Slow Down")
        return true(reference, *arguments)

    monkeypatch.setattr(attempts, "protect_shard", broken)
    done = protect(remote, out, protector)
    assert [stats["count"] for stats in done] == [3, 0, 3, 2]
    found = status(out)
    assert (len(found.done), found.waiting) == (3, [])
    assert list(found.failed) == ["00001.tar"] and "tried 3 times" in found.failed["00001.tar"]
    monkeypatch.setattr(attempts, "protect_shard", true)
    events = []
    protect(remote, out, protector, Distribution(retry_failed=True), report=events.append)
    assert [event.name for event in events if isinstance(event, ShardDone)] == ["00001.tar"]
    assert status(out).failed == {} and len(status(out).done) == 4
    assert {name: data for name, data in bucket.tree("out").items() if name in local} == local


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("s3://{}/in/x", "expected a folder outside the input"),
        ("s3://{}/in", "expected a folder outside the input"),
        ("s3://no-such-bucket/x", "expected the bucket no-such-bucket, found none of that name"),
        ("s3://{}/other", "got s3://.*/other with other things in it"),
        ("ftp://host/x", "^OUT: expected a path, s3://, gs:// or az://"),
    ],
)
def test_outs_that_are_refused(source, bucket, out, message):
    remote = bucket.put(source, "in")
    place(f"s3://{bucket.name}/other/file").write_bytes(b"x")
    with pytest.raises(PlanError, match=message):
        make_plan([remote], out.format(bucket.name), PUBLISH)


def test_missing_credentials_are_not_taken_for_a_missing_bucket(source, bucket, monkeypatch):
    import fsspec

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    expected = "expected credentials, found none; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    for remote, out in ((source, f"s3://{bucket.name}/out"), (f"s3://{bucket.name}/in", "out")):
        with pytest.raises(PlanError, match=expected):
            make_plan([str(remote)], out, PUBLISH)


# --- parts


def test_parts_share_the_shards_and_the_last_one_writes_the_manifest(source, protector, local, tree, tmp_path):
    names = []
    for index in range(3):
        done = protect(source, tmp_path / "out", protector, Distribution(part=f"{index}/3"))
        names.append([stats["shard"] for stats in done])
        assert all(Part(index, 3).holds(name) for name in names[-1])
    assert sorted(name for part in names for name in part) == [f"0000{i}.tar" for i in range(4)]
    files = tree(tmp_path / "out")
    assert {name: data for name, data in shard_files(files).items() if name in local} == local
    assert len(files["_protect/manifest.jsonl"].splitlines()) == 4


@pytest.mark.parametrize(
    ("text", "environment", "expected"),
    [
        (None, {}, None),
        ("2/3", {}, "2/3"),
        ("0/1", {"JOB_COMPLETION_INDEX": "1", "JOB_COMPLETIONS": "2"}, None),
        (None, {"JOB_COMPLETION_INDEX": "1", "JOB_COMPLETIONS": "2"}, "1/2"),
        (None, {"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_COUNT": "4", "SLURM_ARRAY_TASK_MIN": "1",
                "SLURM_ARRAY_TASK_STEP": "2"}, "3/4"),
        ("1/3", {"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_COUNT": "4"}, "1/3"),
    ],
)  # fmt: skip
def test_the_part_is_asked_for_or_that_of_an_array(text, environment, expected):
    found = part_of(text, environment)
    assert (found and str(found)) == expected


@pytest.mark.parametrize(
    ("text", "environment", "message"),
    [
        ("3/2", {}, "^--part: expected I/N with I from 0 to N-1, .* found 3/2; say --part"),
        ("x", {}, "found x"),
        (None, {"JOB_COMPLETION_INDEX": "1"}, "expected JOB_COMPLETIONS beside it"),
        (None, {"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_COUNT": "2", "SLURM_ARRAY_TASK_MIN": "3"},
         "^SLURM_ARRAY_TASK_ID: expected .* found 4/2"),
    ],
)  # fmt: skip
def test_parts_that_cannot_be(text, environment, message):
    with pytest.raises(PlanError, match=message):
        part_of(text, environment)


def test_every_shard_is_in_one_part_and_they_are_about_even():
    names = [f"{number:05}.tar" for number in range(1000)]
    sizes = [sum(Part(index, 8).holds(name) for name in names) for index in range(8)]
    assert sum(sizes) == 1000 and min(sizes) > 80


def test_the_same_part_twice_at_once_is_refused(source, protector, tmp_path):
    out = tmp_path / "out"
    protect(source, out, protector, Distribution(part="0/2"))
    with only_one(out / "_protect" / "private", "0/2"):
        with pytest.raises(PlanError, match="expected one run at a time, found another that writes part 0/2 of"):
            protect(source, out, protector, Distribution(part="0/2"))
        with pytest.raises(PlanError, match="found another that writes"):
            protect(source, out, protector)
        protect(source, out, protector, Distribution(part="1/2"))


def test_parts_need_a_protector(source, tmp_path):
    with pytest.raises(PlanError, match=r"^--part: expected --protector"):
        protect(source, tmp_path / "out", None, Distribution(part="0/2"))


# --- status


def test_status_of_a_run_that_was_broken_off(source, protector, tmp_path, clean):
    out = tmp_path / "out"
    protect(source, out, protector, Distribution(part="0/3"))
    found = status(out)
    assert len(found.done) + len(found.waiting) == 4 and found.waiting and found.done
    assert found.rate > 0 and found.seconds_left > 0
    text = "\n".join(lines(found))
    assert f"{len(found.done)} of 4 shards done" in text and "images/s" in text and "the last one ended" in text
    assert status(out, Part(0, 3)).waiting == []
    with pytest.raises(ValueError, match=r"expected the OUT of `protect shards`, found no _protect/private/job.json"):
        status(tmp_path / "nothing")


def test_failures_are_written_down_until_they_are_over(tmp_path, clean, protector):
    source = clean(tmp_path / "in", 2, 2)
    whole = (source / "00001.tar").read_bytes()
    (source / "00001.tar").write_bytes(b"nonsense" * (len(whole) // 8))
    protect(source, tmp_path / "out", protector)
    assert "expected a tar" in status(tmp_path / "out").failed["00001.tar"]
    (source / "00001.tar").write_bytes(whole)
    events = []
    protect(source, tmp_path / "out", protector, Distribution(retry_failed=True), report=events.append)
    assert [event.name for event in events if isinstance(event, ShardDone)] == ["00001.tar"]
    assert status(tmp_path / "out").failed == {}


# --- processes


@pytest.fixture
def importable(monkeypatch):
    """Processes of their own find these tests."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(Path(__file__).parents[2])])


def test_processes_write_what_one_does_though_they_are_killed(
    source, protector, local, tree, tmp_path, importable, monkeypatch
):
    from protect.jobs.executors import processes

    started, true = [], processes._Worker.give

    def give(worker, *arguments):
        """The first worker is killed as soon as it has its first shard, the second one stops and never answers."""
        true(worker, *arguments)
        started.append(worker)
        if len(started) == 1:
            os.kill(worker.process.pid, signal.SIGKILL)
        if len(started) == 2:
            os.kill(worker.process.pid, signal.SIGSTOP)

    monkeypatch.setattr(processes._Worker, "give", give)
    done = protect(source, tmp_path / "out", protector, Distribution(workers=2, shard_timeout="60s"))
    assert [stats["protected"] for stats in done] == [3, 2, 3, 2] and len(started) == 6
    assert {name: data for name, data in shard_files(tree(tmp_path / "out")).items() if name in local} == local
    assert not [worker for worker in started if worker.process.is_alive()]


def test_a_shard_that_kills_its_process_fails_alone(source, protector, tmp_path, importable, monkeypatch):
    from protect.jobs.executors import processes

    true = processes._Worker.give

    def give(worker, *arguments):
        if arguments[0].reference.name == "00002.tar":
            os.kill(worker.process.pid, signal.SIGKILL)
        true(worker, *arguments)

    monkeypatch.setattr(processes._Worker, "give", give)
    done = protect(source, tmp_path / "out", protector, Distribution(workers=2, tries=2))
    assert [stats["count"] for stats in done] == [3, 2, 0, 2]
    reason = status(tmp_path / "out").failed["00002.tar"]
    assert reason == (
        "00002.tar: tried 2 times: its process was killed by signal 9; give it more memory or fewer --workers"
    )


def descendants(process):
    """All processes below one, by the system's own list."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                parents[int(path.parent.name)] = int(parent)
    found = {process}
    while more := {one for one, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {process}


def test_a_killed_driver_takes_its_workers_along_and_loses_nothing(source, protector, local, tree, tmp_path):
    protector.save(tmp_path / "protector")
    out, with_a_worker = tmp_path / "out", 3  # beside the fork server and the tracker of resources
    command = [sys.executable, "-P", "-m", "protect.cli", "shards", source, out, "--urls", "keep"]
    driver = subprocess.Popen([*command, "--protector", tmp_path / "protector", "--workers", "2", "-q"])
    while len(others := descendants(driver.pid)) < with_a_worker and driver.poll() is None:
        time.sleep(0.02)
    driver.kill()
    driver.wait()
    end = time.monotonic() + 60
    while alive := [one for one in others if Path(f"/proc/{one}").exists()]:
        assert time.monotonic() < end, alive
        time.sleep(0.05)
    done = protect(source, out, Protector.load(tmp_path / "protector"))
    assert [stats["protected"] for stats in done] == [3, 2, 3, 2]
    assert {name: data for name, data in shard_files(tree(out)).items() if name in local} == local


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"address": "auto"}, "^address: no effect with --distributor local"),
        ({"workers": 0}, "^workers: expected a number above 0"),
        ({"shard_timeout": "soon"}, "^shard_timeout: expected a time above 0 such as 90, 30m or 2h, got 'soon'"),
        ({"distributor": "spark"}, "^distributor: expected one of local, ray, got 'spark'"),
        ({"distributor": "ray", "workers": 2}, "^workers: no effect with --distributor ray"),
    ],
)
def test_settings_that_cannot_be(values, message):
    with pytest.raises(ValueError, match=message):
        Distribution(**values)


def test_every_executor_runs_the_same_work():
    from importlib import import_module

    assert all(callable(import_module(module).run) for module in executors.EXECUTORS.values())
