"""Shards in object storage are fetched while the one before is in work, and it does not matter where that fails."""

import threading

import pytest
from small_run import PUBLISH, RECIPE

from protect.data.storage import place
from protect.jobs import ahead, task
from protect.jobs.ahead import Ahead
from protect.jobs.executors import Distribution
from protect.jobs.plan import make_plan
from protect.jobs.reference import ShardReference
from protect.jobs.shards import protect_shards

NAMES = ["00000.tar", "00001.tar", "00002.tar"]


@pytest.fixture
def fetched(monkeypatch):
    """Names of the shards that were fetched, in order, and an event for each that is set when it is there."""
    true, names, there = ahead.fetch, [], {name: threading.Event() for name in NAMES}

    def fetch(source, target):
        digest = true(source, target)
        names.append(source.name)
        there[source.name].set()
        return digest

    monkeypatch.setattr(ahead, "fetch", fetch)
    return names, there


def run(source, out, protector, how=None):
    return protect_shards(make_plan([str(source)], str(out), PUBLISH), RECIPE, protector, how=how)


def references(remote, out):
    return [ShardReference(place(f"{remote}/{name}"), place(str(out)), name, "run") for name in NAMES]


def test_the_next_shard_comes_while_this_one_is_in_work(source, protector, bucket, tmp_path, fetched, monkeypatch):
    names, there = fetched
    true, waited = task.write_shard, []

    def write_shard(shard, files, *arguments):
        following = NAMES[NAMES.index(shard.name) + 1 :][:1]
        waited.extend(there[name].wait(60) for name in following)
        return true(shard, files, *arguments)

    monkeypatch.setattr(task, "write_shard", write_shard)
    done = run(bucket.put(source, "in"), tmp_path / "out", protector)
    assert [stats["protected"] for stats in done] == [3, 2, 2]
    assert waited == [True, True] and names == NAMES


def test_what_is_done_is_not_fetched(source, protector, bucket, tmp_path, fetched):
    remote, out = bucket.put(source, "in"), tmp_path / "out"
    run(remote, out, protector)
    (out / "00000_stats.json").unlink()
    fetched[0].clear()
    run(remote, out, protector)
    assert fetched[0] == ["00000.tar"]


def test_a_fetch_ahead_that_fails_is_made_again(source, protector, bucket, tmp_path, tree, monkeypatch):
    true, tries = ahead.fetch, []

    def fetch(source, target):
        tries.append(source.name)
        if source.name == "00001.tar" and tries.count(source.name) == 1:
            target.write_bytes(b"half")
            raise ConnectionError("broken off")
        return true(source, target)

    monkeypatch.setattr(ahead, "fetch", fetch)
    run(bucket.put(source, "in"), tmp_path / "out", protector)
    run(source, tmp_path / "local", protector)
    assert tries.count("00001.tar") == 2 and tries.count("00002.tar") == 1
    tars = [{name: data for name, data in tree(tmp_path / out).items() if name in NAMES} for out in ("out", "local")]
    assert tars[0] == tars[1] and len(tars[0]) == 3


def test_another_shard_than_the_expected_one_may_come(source, bucket, tmp_path, fetched):
    first, second, third = references(bucket.put(source, "in"), tmp_path / "out")
    at_hand = Ahead()
    at_hand.expect(first, second)
    with at_hand.fetched(first.source) as (shard, _):
        assert shard.read_bytes() == (source / "00000.tar").read_bytes() and fetched[1]["00001.tar"].wait(60)
    at_hand.expect(third, None)
    with at_hand.fetched(third.source) as (shard, _):
        assert shard.read_bytes() == (source / "00002.tar").read_bytes()
        assert shard.with_suffix(".parquet").exists() == (source / "00002.parquet").exists()
    assert not shard.exists()


def test_processes_that_fetch_ahead_write_what_one_does(source, protector, bucket, tree, tmp_path):
    remote = bucket.put(source, "in")
    done = run(remote, tmp_path / "two", protector, Distribution(workers=2))
    run(remote, tmp_path / "one", protector)
    assert [stats["protected"] for stats in done] == [3, 2, 2]
    one, two = (
        {name: data for name, data in tree(tmp_path / out).items() if "/log" not in name} for out in ("one", "two")
    )
    assert one == two
