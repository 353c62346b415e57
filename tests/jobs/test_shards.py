import json
import multiprocessing
import os
import signal
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
from kills import die_at

from protect.data.shard_writer import ShardWriter
from protect.data.shards import find_shards, read_samples
from protect.files import MARKER, PlanError
from protect.jobs import shards as run
from protect.jobs.fit import fill_window, fit_on_shards
from protect.jobs.look import Look
from protect.jobs.plan import Plan
from protect.jobs.progress import ShardDone
from protect.jobs.shards import protect_shards
from protect.methods import METHODS
from protect.methods.mem_settings import MemSettings
from protect.methods.protector import Protector
from protect.methods.recipe import Recipe
from protect.settings.publish import PublishSettings
from protect.settings.recipe import FitSettings

PUBLISH = PublishSettings(urls="keep")


def recipe(seed=0, **fit):
    return Recipe(fit=FitSettings(**{"method": "random", "size": 32, "seed": seed, **fit}))


def tiny_mem(**mem):
    fit = FitSettings(method="mem", surrogate=("tiny-vit",), size=32, window=8, batch=4)
    steps = {"rounds": 1, "surrogate_steps": 1, "text_rounds": 1, "candidates": 2, "steps": 1}
    return Recipe(fit=fit, own=MemSettings(**{**steps, **mem}))


def make_plan(source, out, publish=PUBLISH):
    return Plan(tuple(find_shards([str(source)])), out, publish)


@pytest.fixture
def source(tmp_path, clean):
    return clean(tmp_path / "in", 3, 2, 3, parquet=True)


# --- a run


def test_a_run_writes_these_files_and_no_others(tmp_path, source, tree):
    results = protect_shards(make_plan(source, tmp_path / "out"), recipe(), None)
    assert [(r["shard"], r["count"], r["protected"]) for r in results] == [
        ("00000.tar", 3, 3),
        ("00001.tar", 2, 2),
        ("00002.tar", 3, 3),
    ]
    shards = [f"0000{i}{end}" for i in range(3) for end in (".parquet", ".tar", "_stats.json")]
    private = ["job.json", *(f"0000{i}.jsonl" for i in range(3))]
    protector = [f"protector/{name}" for name in ("hash", "protector.json", "weights.safetensors")]
    home = ["manifest.jsonl", "run.json", *(f"private/{name}" for name in (*private, *protector))]
    assert set(tree(tmp_path / "out")) == {*shards, *(f"_protect/{name}" for name in home)}
    assert len((tmp_path / "out/_protect/log.jsonl").read_text().splitlines()) == 3


def test_manifest_and_public_files_tell_no_secrets(tmp_path, source, tree):
    plan = make_plan(source, tmp_path / "out")
    results = protect_shards(plan, recipe(), None)
    manifest = [json.loads(line) for line in (plan.home / "manifest.jsonl").read_text().splitlines()]
    assert [line["sha256"] for line in manifest] == [r[MARKER]["sha256"] for r in results]
    about = json.loads((plan.home / "run.json").read_bytes())
    assert (about["method"], about["epsilon"]) == ("random", 8.0)
    alphabet = json.loads((plan.private / "protector" / "protector.json").read_bytes())["alphabet"]
    open_to_all = {n: d for n, d in tree(plan.out).items() if "private" not in n and n.endswith(("json", "jsonl"))}
    assert len(open_to_all) == 5
    for name, data in open_to_all.items():
        assert str(tmp_path).encode() not in data, name
        assert not any(f'"{word}"'.encode() in data for words in alphabet for word in words), name


def test_private_files_are_closed_to_others(tmp_path, source):
    plan = make_plan(source, tmp_path / "out")
    protect_shards(plan, recipe(), None)
    assert plan.private.stat().st_mode & 0o077 == 0


def test_events_of_a_run_and_of_its_repetition(tmp_path, source):
    plan, events = make_plan(source, tmp_path / "out"), []
    first = protect_shards(plan, recipe(), None, events.append)
    done = [event for event in events if isinstance(event, ShardDone)]
    assert [(e.name, e.left, e.seconds > 0) for e in done] == [(f"0000{i}.tar", 2 - i, True) for i in range(3)]
    events.clear()
    assert protect_shards(plan, recipe(), None, events.append) == first
    assert [event.seconds for event in events] == [0, 0, 0]


def test_same_seed_same_bytes_elsewhere_and_another_seed_others(tmp_path, source, tree):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        protect_shards(make_plan(source, tmp_path / name), recipe(seed), None)
    a, b, c = (tree(tmp_path / name) for name in "abc")
    assert a == b
    assert all(c[name] != a[name] for name in a if name.endswith((".tar", ".parquet", ".jsonl")))


def test_same_bytes_with_one_and_with_two_threads(tmp_path, source, tree, monkeypatch):
    monkeypatch.setattr(run, "SMALL", 0)
    for count in (1, 2):
        monkeypatch.setattr(os, "cpu_count", lambda count=count: count)
        protect_shards(make_plan(source, tmp_path / str(count)), recipe(), None)
    assert tree(tmp_path / "1") == tree(tmp_path / "2")


@pytest.mark.parametrize(("side", "threads"), [(64, 1), (128, 1), (129, 3)])
def test_small_pictures_are_not_spread_over_threads(tmp_path, make_shard, photo_bytes, monkeypatch, side, threads):
    shard = make_shard(tmp_path / "s.tar", {"a": {"jpg": photo_bytes(size=(side, 128)), "txt": "a"}})
    monkeypatch.setattr(run.os, "cpu_count", lambda: 3)
    assert run.pictures_at_once(Look(shard).sizes) == threads
    assert run.pictures_at_once(()) == 3


def test_a_run_hashes_what_it_has_written_once_and_its_repetition_too(tmp_path, source, monkeypatch):
    hashed, plan = [], make_plan(source, tmp_path / "out")
    monkeypatch.setattr("protect.jobs.shard_stats.file_hash", lambda path: hashed.append(path.name) or path.name)
    for _ in range(2):
        hashed.clear()
        protect_shards(plan, recipe(), None)
        assert sorted(name for name in hashed if name.endswith(".tar")) == ["00000.tar", "00001.tar", "00002.tar"]


@pytest.mark.parametrize("method", ["mem", "em"])
def test_noise_of_each_image_is_published_as_the_fit_left_it(tmp_path, clean, tree, monkeypatch, method):
    source = clean(tmp_path / "in", 4, 3, parquet=False)
    settings = tiny_mem()
    kind = METHODS[method].settings
    own = kind(**{f.name: getattr(settings.own, f.name) for f in fields(kind)})
    settings = Recipe(fit=replace(settings.fit, method=method, window=5), own=own)
    plan = make_plan(source, tmp_path / "out")
    protect_shards(plan, settings, None)
    kept = plan.private / "protector" / "noise.int8"
    assert kept.stat().st_size == 5 * 3 * 32 * 32
    first = tree(tmp_path / "out")
    plan.files(plan.shards[1]).target.unlink()
    protect_shards(plan, settings, None)  # the protector comes from the disk now
    assert tree(tmp_path / "out") == first
    protect_shards(make_plan(source, tmp_path / "again"), settings, None)
    shards = {name: data for name, data in tree(tmp_path / "again").items() if name.endswith(".tar")}
    assert shards and all(first[name] == data for name, data in shards.items())


def test_mem_from_fit_to_files_resumed_is_the_same(tmp_path, clean, tree, monkeypatch):
    source = clean(tmp_path / "in", 4, 4)
    reports = []
    protect_shards(make_plan(source, tmp_path / "whole"), tiny_mem(), None, reports.append)
    assert any("surrogate loss" in line for line in reports if isinstance(line, str))
    cut = make_plan(source, tmp_path / "cut")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(ShardWriter, "write", interrupt_at(5, ShardWriter.write))
        protect_shards(cut, tiny_mem(), None)
    assert [p.name for p in sorted(cut.out.glob("0*"))] == ["00000.tar", "00000_stats.json"]
    monkeypatch.setattr(run, "fit_on_shards", None)  # the protector of the first attempt is used
    protect_shards(cut, tiny_mem(), None)
    assert tree(cut.out) == tree(tmp_path / "whole")


def interrupt_at(count, call):
    """`call`, interrupted as by Ctrl-C at its count-th time."""
    left = [count]

    def wrapped(*arguments):
        left[0] -= 1
        if left[0] == 0:
            signal.raise_signal(signal.SIGINT)
        return call(*arguments)

    return wrapped


# --- resume


def kill_at(count, plan, recipe):
    """In a process of its own: dies by SIGKILL when the count-th file is about to be flushed or named."""
    die_at(count)
    protect_shards(plan, recipe, None)


def test_killed_at_any_moment_and_run_again_gives_the_same_bytes(tmp_path, clean, tree, half_written, monkeypatch):
    source = clean(tmp_path / "in", 2, 2, parquet=True)
    protect_shards(make_plan(source, tmp_path / "whole"), recipe(), None)
    whole = tree(tmp_path / "whole")
    monkeypatch.setattr(sys, "path", [*sys.path, str(Path(__file__).parents[2]), str(Path(__file__).parents[1])])
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["protect.jobs.shards"])
    plan = make_plan(source, tmp_path / "often")
    for count in (0, 1, 2, 3, 7, 10):  # killed again and again, each time from where it was
        process = context.Process(target=kill_at, args=(count, plan, recipe()))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert {name: data for name, data in tree(plan.out).items() if name in whole}.items() <= whole.items()
    assert half_written(plan.out)
    protect_shards(plan, recipe(), None)
    assert tree(plan.out) == whole


@pytest.mark.parametrize(
    "other",
    [
        {"recipe": recipe(seed=1)},
        {"publish": PublishSettings(urls="keep", jpeg_quality=80)},
        {"publish": PublishSettings(urls="keep", on_error="skip")},
    ],
    ids=["seed", "quality", "on-error"],
)
def test_other_settings_on_a_begun_out_are_refused(tmp_path, source, tree, other):
    plan = make_plan(source, tmp_path / "out")
    protect_shards(plan, recipe(), None)
    before = tree(plan.out)
    with pytest.raises(PlanError, match=r"same run again, got .* other .*choose another OUT"):
        protect_shards(
            make_plan(source, plan.out, other.get("publish", PUBLISH)), other.get("recipe", recipe()), None
        )
    assert tree(plan.out) == before


def test_other_input_or_protector_on_a_begun_out_is_refused(tmp_path, source, clean, tree):
    plan = make_plan(source, tmp_path / "out")
    protect_shards(plan, recipe(), None)
    before = tree(plan.out)
    with pytest.raises(PlanError, match="other shards"):
        protect_shards(make_plan(clean(tmp_path / "in2", 2), plan.out), recipe(), None)
    with pytest.raises(PlanError, match="other protector"):
        protect_shards(plan, recipe(), Protector.load(plan.private / "protector"))
    assert tree(plan.out) == before


def test_an_attempt_that_ended_before_its_first_shard_binds_nothing(tmp_path, source, tree):
    plan = make_plan(source, tmp_path / "out")
    with pytest.raises(ValueError, match="no-such-model"):
        protect_shards(plan, recipe(method="mem", surrogate=("no-such-model",), size=None), None)
    protect_shards(plan, recipe(), None)
    protect_shards(make_plan(source, tmp_path / "new"), recipe(), None)
    assert tree(plan.out) == tree(tmp_path / "new")


def test_undecided_links_keep_the_fit_for_the_next_attempt(tmp_path, make_shard, pair, tree, monkeypatch):
    (tmp_path / "in").mkdir()
    samples = {f"{i:03}": pair(i) for i in range(9)} | {"late": pair(9, url="https://x/9.jpg")}
    make_shard(tmp_path / "in" / "00000.tar", samples)
    asked = make_plan(tmp_path / "in", tmp_path / "out", PublishSettings(on_error="fail"))
    with pytest.raises(PlanError, match="--urls strip"):
        protect_shards(asked, recipe(), None)
    assert not list(asked.out.glob("0*"))
    with monkeypatch.context() as patch:
        patch.setattr(run, "fit_on_shards", None)
        strip = PublishSettings(urls="strip")
        protect_shards(make_plan(tmp_path / "in", tmp_path / "out", strip), recipe(), None)
    protect_shards(make_plan(tmp_path / "in", tmp_path / "new", strip), recipe(), None)
    assert tree(tmp_path / "out") == tree(tmp_path / "new")


def overwrite(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path):
    path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize(
    ("name", "harm"),
    [
        ("00001.tar", Path.unlink),
        ("00001.tar", overwrite),
        ("00001_stats.json", Path.unlink),
        ("00001_stats.json", cut),
        ("00001.parquet", Path.unlink),
        ("00001.parquet", overwrite),
        ("_protect/private/00001.jsonl", Path.unlink),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_harmed_shard_alone_is_made_again(tmp_path, source, tree, name, harm):
    plan, events = make_plan(source, tmp_path / "out"), []
    protect_shards(plan, recipe(), None)
    whole = tree(plan.out)
    harm(plan.out / name)
    protect_shards(plan, recipe(), None, events.append)
    assert tree(plan.out) == whole
    done = [event for event in events if isinstance(event, ShardDone)]
    assert [event.name for event in done if event.seconds] == ["00001.tar"]


def test_a_changed_protector_is_refused(tmp_path, source):
    plan = make_plan(source, tmp_path / "out")
    protect_shards(plan, recipe(), None)
    path = plan.private / "protector" / "protector.json"
    path.write_bytes(path.read_bytes().replace(b'"seed": 0', b'"seed": 7'))
    with pytest.raises(ValueError, match="expected hash"):
        protect_shards(plan, recipe(), None)


def test_the_same_shards_from_another_working_folder(tmp_path, source, monkeypatch):
    monkeypatch.chdir(tmp_path)
    protect_shards(make_plan("in", tmp_path / "out"), recipe(), None)
    monkeypatch.chdir("/")
    events = []
    protect_shards(make_plan(source, tmp_path / "out"), recipe(), None, events.append)
    assert [event.seconds for event in events] == [0, 0, 0]


# --- several processes


def test_two_processes_do_what_one_does(tmp_path, source, tree, monkeypatch):
    protector = fit_on_shards(find_shards([str(source)]), recipe(), PUBLISH, lambda line: None)
    alone = protect_shards(make_plan(source, tmp_path / "one"), protector.recipe, protector)
    plan, names = make_plan(source, tmp_path / "two"), []
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in "10":
        monkeypatch.setenv("RANK", rank)
        results = protect_shards(plan, recipe(), protector)
        names.append([result["shard"] for result in results])
    assert names == [["00001.tar"], ["00000.tar", "00001.tar", "00002.tar"]]
    assert results == alone
    assert tree(plan.out) == tree(tmp_path / "one")


def test_several_processes_need_a_protector(tmp_path, source, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(PlanError, match="--protector"):
        protect_shards(make_plan(source, tmp_path / "out"), recipe(), None)
    assert not (tmp_path / "out").exists()


def test_several_processes_do_not_fit(source, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(PlanError, match=r"^torchrun: expected one process to fit a protector, found several; run it"):
        fit_on_shards(find_shards([str(source)]), recipe(), PUBLISH, lambda line: None)


def test_processes_that_claim_at_once_do_not_meet(tmp_path, source, tree, monkeypatch):
    """While rank 0 is about to name job.json, rank 1 does all of its work."""
    protector = fit_on_shards(find_shards([str(source)]), recipe(), PUBLISH, lambda line: None)
    plan, true = make_plan(source, tmp_path / "out"), os.replace
    monkeypatch.setenv("WORLD_SIZE", "2")

    def meanwhile(part, path):
        monkeypatch.setattr(os, "replace", true)
        monkeypatch.setenv("RANK", "1")
        protect_shards(plan, recipe(), protector)
        monkeypatch.setenv("RANK", "0")
        true(part, path)

    monkeypatch.setenv("RANK", "0")
    monkeypatch.setattr(os, "replace", meanwhile)
    assert len(protect_shards(plan, recipe(), protector)) == 3
    monkeypatch.delenv("RANK")
    monkeypatch.delenv("WORLD_SIZE")
    protect_shards(make_plan(source, tmp_path / "one"), recipe(), protector)
    assert tree(plan.out) == tree(tmp_path / "one")


def test_a_protector_of_its_own_does_what_the_run_would_have_fitted(tmp_path, source, tree):
    own = make_plan(source, tmp_path / "own")
    protect_shards(own, recipe(), None)
    protector = fit_on_shards(own.shards, recipe(), PUBLISH, lambda line: None)
    protector.save(tmp_path / "protector")
    given = make_plan(source, tmp_path / "given")
    protect_shards(given, recipe(seed=5), Protector.load(tmp_path / "protector"))
    tars = {name: data for name, data in tree(own.out).items() if name.endswith((".tar", ".parquet"))}
    assert len(tars) == 6 and tars.items() <= tree(given.out).items()
    assert not (given.private / "protector").exists()


# --- the window


def test_the_window_holds_all_of_small_data(source):
    window = fill_window(find_shards([str(source)]), recipe(window=100), PUBLISH)
    keys = {sample.key for shard in find_shards([str(source)]) for sample in read_samples(shard)}
    assert set(window.keys) == keys and len(window) == 8 and window.size == 32


def test_the_window_is_bounded_and_drawn_from_the_seed(tmp_path, clean):
    shards = find_shards([str(clean(tmp_path / "in", *[2] * 8))])
    windows = [fill_window(order, recipe(seed, method="mem", window=5, batch=2), PUBLISH) for order, seed in
               ((shards, 0), (shards[::-1], 0), (shards, 1))]  # fmt: skip
    assert [len(window) for window in windows] == [5, 5, 5]
    assert windows[0].fingerprint() == windows[1].fingerprint() != windows[2].fingerprint()


def test_the_window_leaves_out_what_cannot_be_used(tmp_path, make_shard, pair):
    samples = {"a": pair(1), "b": {"jpg": b"", "txt": "x"}, "c": {"txt": "x"}, "d": pair(2), "e": {"jpg": b"x"}}
    shard = make_shard(tmp_path / "s.tar", samples)
    assert fill_window([shard], recipe(), PUBLISH).keys == ["a", "d"]
    shard.write_bytes(shard.read_bytes()[:6_000])
    assert fill_window([shard], recipe(), PUBLISH).keys == ["a"]


def test_too_little_to_fit_on(tmp_path, clean):
    shards = find_shards([str(clean(tmp_path / "in", 1))])
    with pytest.raises(ValueError, match=r"at least 2 usable pairs .*, got 1; give it more pairs$"):
        fit_on_shards(shards, recipe(), PUBLISH, lambda line: None)


@pytest.mark.parametrize(
    ("members", "reason", "cure"),
    [
        ({"gif": b"GIF89a", "txt": "a boat"}, "no image", "name pictures KEY.jpg"),
        ({"jpg": b"JPEG", "description": "a boat"}, "no caption", "put the caption into KEY.txt"),
        ({"jpg": b"nonsense", "txt": "a boat"}, "unusable image", "write pictures as JPEG"),
    ],
    ids=["other pictures", "no captions", "broken pictures"],
)
def test_what_keeps_all_pairs_from_being_fitted_on_is_said(tmp_path, make_shard, photo_bytes, members, reason, cure):
    members = {name: photo_bytes() if data == b"JPEG" else data for name, data in members.items()}
    shard = make_shard(tmp_path / "00000.tar", {str(number): members for number in range(3)})
    with pytest.raises(ValueError, match=rf"got 0 of 3 samples \(3 with {reason}.*\); {cure}"):
        fit_on_shards([shard], recipe(), PUBLISH, lambda line: None)


def test_no_tar_among_the_shards(tmp_path, source, half_written):
    (source / "00001.tar").write_bytes(b"nonsense" * 200)
    protector = fit_on_shards([source / "00000.tar"], recipe(), PUBLISH, lambda line: None)
    plan = make_plan(source, tmp_path / "out")
    whole, broken, *others = protect_shards(plan, recipe(), protector)
    assert whole["protected"] and broken["count"] == 0 and all(stats["protected"] for stats in others)
    assert "00001.tar: expected a tar" in broken["errors"][0]["reason"]
    assert half_written(plan.out) == [] and (plan.out / "00000.tar").exists()
    assert not (plan.out / "00001.tar").exists() and not (plan.out / "00001_stats.json").exists()


@pytest.mark.parametrize(
    ("sides", "size", "made_for"),
    [((48, 90, 300, 400), None, 90), ((300, 400, 500), None, 224), ((48, 90, 300, 400), 32, 32)],
    ids=["small pictures", "large ones", "as asked for"],
)
def test_noise_without_a_surrogate_is_made_for_the_size_that_pictures_have(
    make_shard, photo_bytes, tmp_path, sides, size, made_for
):
    pairs = {f"{i}": {"jpg": photo_bytes(size=(side + 20, side)), "txt": f"a {i}"} for i, side in enumerate(sides)}
    shard = make_shard(tmp_path / "00000.tar", pairs)
    window = fill_window([shard], Recipe(FitSettings("instant", size=size)), PUBLISH)
    assert window.size == made_for and len(window) == len(sides)
    named = fill_window([shard], Recipe(FitSettings("instant", size=size, surrogate=("tiny-vit",))), PUBLISH)
    assert named.size == (size or 64)
