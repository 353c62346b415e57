import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from protect.data.shards import ShardError, readable
from protect.files import HOME, PlanError
from protect.jobs.look import MEASURED, Look, Looks, undecided_in
from protect.jobs.plan import Plan, make_plan
from protect.samples import Member, Sample
from protect.settings.publish import PublishSettings

KEEP = PublishSettings(urls="keep")
ASK = PublishSettings()


@pytest.fixture
def source(tmp_path, clean):
    return clean(tmp_path / "in", 2)


# --- places


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("in", "outside the input"),
        ("in/out", "outside the input"),
        ("in/deep/er", "outside the input"),
        ("elsewhere/../in", "outside the input"),
        ("link", "outside the input"),
        ("file", "expected a folder, got the file"),
        ("other", "other things in it"),
    ],
)
def test_out_refused(tmp_path, source, tree, out, message):
    (tmp_path / "link").symlink_to(source)
    (tmp_path / "file").touch()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.doc").touch()
    before = tree(tmp_path)
    with pytest.raises(PlanError, match=message):
        make_plan([str(source)], tmp_path / out, ASK)
    assert tree(tmp_path) == before


def test_out_refused_when_the_input_folder_is_full_of_links(tmp_path, source):
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "00000.tar").symlink_to(source / "00000.tar")
    for out in (linked, linked / "out", source):
        with pytest.raises(PlanError, match="outside the input"):
            make_plan([str(linked)], out, ASK)


def test_out_refused_beside_any_of_several_inputs(tmp_path, source, clean):
    (tmp_path / "more").mkdir()
    (source / "00000.tar").rename(tmp_path / "more" / "00007.tar")
    clean(tmp_path / "third", 1)
    with pytest.raises(PlanError, match="outside the input"):
        make_plan([str(tmp_path / "third" / "00000.tar"), str(tmp_path / "more")], tmp_path / "more" / "x", ASK)


@pytest.mark.parametrize("out", ["new", "new/deep/er", "empty", "earlier", "in2"])
def test_out_accepted(tmp_path, source, out):
    (tmp_path / "empty").mkdir()
    (tmp_path / "earlier" / HOME).mkdir(parents=True)
    (tmp_path / "earlier" / "00000.tar").touch()
    plan = make_plan([str(source)], tmp_path / out, ASK)
    assert plan.shards == (source / "00000.tar",)
    assert not (tmp_path / "new").exists()


def test_read_only_out_refused(tmp_path, source, monkeypatch):
    locked = tmp_path / "locked"
    locked.mkdir()
    true = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != locked and true(path, mode))
    for out in (locked, locked / "new"):
        with pytest.raises(PlanError, match=r"can be written, got .*locked read-only"):
            make_plan([str(source)], out, ASK)
    make_plan([str(source)], tmp_path / "free", ASK)


def test_empty_and_missing_input_refused(tmp_path):
    (tmp_path / "in").mkdir()
    for source in ("in", "nowhere", "in/{00000..00003}.tar"):
        with pytest.raises(ShardError):
            make_plan([str(tmp_path / source)], tmp_path / "out", ASK)


# --- protected already


def test_own_output_refused_unless_forced(tmp_path, source):
    (source / HOME).mkdir()
    with pytest.raises(PlanError, match=r"protected already.*--force"):
        make_plan([str(source)], tmp_path / "out", ASK)
    assert make_plan([str(source)], tmp_path / "out", ASK, force=True).shards


@pytest.mark.parametrize(
    ("stats", "protected"),
    [
        ('{"protect": {"run": "x"}}', True),
        ('{"count": 3, "successes": 3}', False),
        ("5", False),
        ("null", False),
        ('["protect"]', False),
        ('"protect"', False),
        ("{not json", False),
        ("", False),
    ],
)
def test_protected_by_the_stats_beside_it(source, stats, protected):
    (source / "00000_stats.json").write_text(stats)
    assert Look(source / "00000.tar").protected is protected


def test_one_protected_shard_among_several_is_named(tmp_path, clean):
    source = clean(tmp_path / "in", 1, 1, 1)
    (source / "00001_stats.json").write_text('{"protect": {}}')
    with pytest.raises(PlanError, match=r"00001\.tar"):
        make_plan([str(source)], tmp_path / "out", ASK)


# --- links


@pytest.mark.parametrize("fields", [{"url": "https://x/1.jpg"}, {"sha256": "ab"}, {"thumb_url": ["https://x/1.jpg"]}])
def test_links_in_json_need_a_decision(tmp_path, clean, fields):
    source = clean(tmp_path / "in", 1, **fields)
    with pytest.raises(PlanError, match=rf"{next(iter(fields))}.*--urls strip.*--urls keep"):
        make_plan([str(source)], tmp_path / "out", ASK)
    assert not (tmp_path / "out").exists()
    for urls in ("keep", "strip"):
        make_plan([str(source)], tmp_path / "out", PublishSettings(urls=urls))


def test_empty_links_need_none(tmp_path, clean):
    source = clean(tmp_path / "in", 1, url=None, sha256=None)
    assert make_plan([str(source)], tmp_path / "out", ASK).shards


def test_links_in_the_parquet_alone_need_a_decision(tmp_path, source):
    pq.write_table(pa.table({"key": ["000000000"], "url": ["https://x/1.jpg"]}), source / "00000.parquet")
    with pytest.raises(PlanError, match="url"):
        make_plan([str(source)], tmp_path / "out", ASK)
    assert make_plan([str(source)], tmp_path / "out", KEEP).shards


def test_links_in_the_last_shard_are_seen(tmp_path, source, make_shard, pair):
    make_shard(source / "00009.tar", {"a": pair(1), "b": pair(2, url="https://x/1.jpg")})
    with pytest.raises(PlanError, match=r"00009\.tar"):
        make_plan([str(source)], tmp_path / "out", ASK)


def test_plan_looks_at_the_beginning_of_a_shard_only(tmp_path, make_shard, pair):
    late = {f"{i:03}": pair(i) for i in range(MEASURED)} | {"late": pair(99, url="https://x/1.jpg")}
    (tmp_path / "in").mkdir()
    shard = make_shard(tmp_path / "in" / "00000.tar", late)
    assert make_plan([str(shard)], tmp_path / "out", ASK).shards == (shard,)


def test_a_shard_is_opened_once_for_all_who_ask(tmp_path, clean, monkeypatch):
    source = clean(tmp_path / "in", 3, 2)
    opened = []
    monkeypatch.setattr("protect.jobs.look.readable", lambda shard: opened.append(shard.name) or readable(shard))
    plan = make_plan([str(source)], tmp_path / "out", ASK)
    for _ in range(2):
        assert [plan.looks[shard].sizes for shard in plan.shards] == [((64, 48),) * 3, ((64, 48),) * 2]
    assert opened == ["00000.tar", "00001.tar"]


def test_no_shard_is_opened_where_nothing_asks(tmp_path, clean, monkeypatch):
    source = clean(tmp_path / "in", 1, url="https://x/1.jpg")
    monkeypatch.setattr("protect.jobs.look.readable", lambda shard: pytest.fail("opened"))
    make_plan([str(source)], tmp_path / "out", PublishSettings(urls="keep", others="keep"))


def test_few_shards_are_looked_at_longer(tmp_path):
    assert [Looks(shards)[tmp_path].samples for shards in (1, 2, 8, 1000)] == [64, 32, 8, 8]


def test_unreadable_json_has_no_links():
    assert undecided_in(Sample("k", (Member("k.json", b"{broken"),)), ASK) == ((), ())


def test_a_short_truncated_shard_does_not_stop_the_plan(tmp_path, source):
    shard = source / "00000.tar"
    shard.write_bytes(shard.read_bytes()[:6000])
    assert len(list(readable(shard))) == 1
    assert make_plan([str(source)], tmp_path / "out", ASK).shards == (shard,)


def test_a_file_that_is_no_tar_stops_the_plan_only_where_all_are_none(tmp_path, source):
    (source / "00001.tar").write_bytes(b"no tar" * 1000)
    assert len(make_plan([str(source)], tmp_path / "out", ASK).shards) == 2
    (source / "00000.tar").unlink()
    with pytest.raises(ShardError, match=r"00001\.tar"):
        make_plan([str(source)], tmp_path / "out", ASK)


# --- names and identity


def test_names_of_a_gzip_shard(tmp_path):
    plan, shard = Plan((), tmp_path, ASK), Path("in/00003.tar.gz")
    assert plan.files(shard).target == tmp_path / "00003.tar.gz"
    assert plan.files(shard).stats == tmp_path / "00003_stats.json"
    assert plan.files(shard).parquet == tmp_path / "00003.parquet"
    assert plan.files(shard).records == tmp_path / "_protect" / "private" / "00003.jsonl"


def test_identity_is_of_what_decides_the_bytes(tmp_path, source, clean):
    shards = (source / "00000.tar",)
    plan = Plan(shards, tmp_path / "a", ASK)
    assert plan.identity("p") == Plan(shards, tmp_path / "b", ASK).identity("p")
    others = [
        plan.identity("q"),
        Plan(shards, tmp_path, KEEP).identity("p"),
        Plan(shards, tmp_path, PublishSettings(jpeg_quality=90)).identity("p"),
        Plan((), tmp_path, ASK).identity("p"),
        Plan((clean(tmp_path / "larger", 3) / "00000.tar",), tmp_path, ASK).identity("p"),
    ]
    assert plan.identity("p") not in others
    assert len(set(others)) == len(others)
