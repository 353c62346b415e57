import json
import shutil

import numpy as np
import pytest
from PIL import Image

from protect.data.shard_writer import ShardWriter, replace_members
from protect.data.shards import ShardError, find_shards, read_samples
from protect.jobs.inspection import inspect_run, read_records
from protect.jobs.plan import Plan
from protect.jobs.shards import protect_shards
from protect.methods.recipe import Recipe
from protect.settings.publish import PublishSettings
from protect.settings.recipe import FitSettings

RECIPE = Recipe(fit=FitSettings(method="random", size=32))


@pytest.fixture
def protected(tmp_path):
    """protected(IN, **publish): the plan of a finished run."""

    def run(source, **publish):
        publish = PublishSettings(**{"urls": "keep", **publish})
        plan = Plan(tuple(find_shards([str(source)])), tmp_path / "out", publish)
        protect_shards(plan, RECIPE, None)
        return plan

    return run


@pytest.fixture
def source(tmp_path, clean):
    return clean(tmp_path / "in", 3, 2, parquet=True)


def rewrite(shard, change):
    """Replaces every sample of a shard by what `change` makes of it."""
    samples = [change(sample) for sample in read_samples(shard)]
    with ShardWriter(shard) as writer:
        for sample in samples:
            writer.write(sample)
        writer.commit()


def test_a_row_for_each_shard_and_no_leak(protected, source):
    plan = protected(source)
    found = inspect_run(plan.out)
    assert [(row["shard"], row["count"], row["protected"]) for row in found.rows] == [
        ("00000.tar", 3, 3),
        ("00001.tar", 2, 2),
    ]
    assert found.rows[0]["psnr"] == json.loads((plan.out / "00000_stats.json").read_bytes())["psnr"]
    assert found.leaks == ()


def test_contact_sheet_is_a_picture_of_what_changed(protected, source):
    plan = protected(source)
    found = inspect_run(plan.out, count=4)
    assert found.sheet == plan.private / "contact-sheet.png"
    with Image.open(found.sheet) as sheet:
        pixels = np.asarray(sheet.convert("RGB")).astype(int)
    clean, changed, difference = (pixels[36:200, 12 + 236 * i : 236 * (i + 1)] for i in range(3))
    assert 0 < np.abs(clean - changed).mean() < 16
    assert np.abs(difference - 128).mean() > 32  # the change, 16 times over
    assert inspect_run(plan.out, count=2).sheet.stat().st_size > 0
    with Image.open(found.sheet) as fewer:
        assert fewer.height < len(pixels)


def test_samples_on_the_sheet_come_from_the_seed(protected, source):
    plan = protected(source)
    sheets = [inspect_run(plan.out, 1, seed).sheet.read_bytes() for seed in (0, 0, 1, 2, 3, 4)]
    assert sheets[0] == sheets[1]
    assert len(set(sheets)) > 1


def test_the_sheet_shows_captions_of_every_configured_field(
    tmp_path, make_shard, photo_bytes, protected, monkeypatch
):
    seen = []
    monkeypatch.setattr(
        "protect.jobs.inspection.contact_sheet", lambda pairs: seen.extend(pairs) or Image.new("L", (1, 1))
    )
    (tmp_path / "in").mkdir()
    samples = {key: {"jpg": photo_bytes(), "json": {"legend": f"a {key}"}} for key in ("hare", "fox")}
    make_shard(tmp_path / "in" / "00000.tar", samples)
    plan = protected(tmp_path / "in", caption_keys=("legend",))
    inspect_run(plan.out)
    records = read_records(plan.private, plan.shards[0])
    assert {pair.key for pair in seen} == {"hare", "fox"}
    for pair in seen:
        assert pair.clean_caption == f"a {pair.key}"
        assert pair.protected_caption == " ".join([*records[pair.key]["words"], pair.clean_caption])
        assert pair.clean == samples[pair.key]["jpg"] != pair.protected


def test_sheet_of_deep_grey_and_wide_pictures_and_long_captions(tmp_path, make_shard, photo_bytes, protected):
    (tmp_path / "in").mkdir()
    samples = {
        "deep": {"png": photo_bytes("PNG", "I;16"), "txt": "犬 " * 900},
        "clear": {"png": photo_bytes("PNG", "RGBA"), "txt": "🐕"},
        "wide": {"webp": photo_bytes("WEBP", size=(400, 3)), "txt": "a" * 10_000},
    }
    make_shard(tmp_path / "in" / "00000.tar", samples)
    with Image.open(inspect_run(protected(tmp_path / "in").out).sheet) as sheet:
        assert sheet.height > 3 * 224


def test_originals_gone_leaves_no_sheet_but_the_rest(protected, source):
    plan = protected(source)
    shutil.rmtree(source)
    found = inspect_run(plan.out)
    assert found.sheet is None and len(found.rows) == 2 and found.leaks == ()


def test_originals_broken_leaves_a_sheet_of_what_can_be_read(protected, source):
    plan = protected(source)
    for shard in plan.shards:
        shard.write_bytes(shard.read_bytes()[:9_000])
    assert inspect_run(plan.out).sheet.exists()


def test_a_clean_caption_put_back_is_found(protected, source):
    plan = protected(source)
    shard = plan.out / "00001.tar"
    clean = b"  Photo number 11 of\ta harbour\n"
    rewrite(shard, lambda s: replace_members(s, {"txt": clean}) if s.key == "000010001" else s)
    (leak,) = inspect_run(plan.out).leaks
    assert (leak.shard, leak.key, leak.kind) == ("00001.tar", "000010001", "caption")
    assert "000010001.txt" in leak.detail


def test_a_clean_caption_in_json_or_parquet_is_found(protected, source):
    plan = protected(source)
    captions = b'{"notes": {"source": "photo number 0 of a harbour"}}'
    rewrite(plan.out / "00000.tar", lambda s: replace_members(s, {"json": captions}) if s.key == "000000000" else s)
    shutil.copy(source / "00001.parquet", plan.out / "00001.parquet")
    leaks = inspect_run(plan.out).leaks
    assert [(leak.shard, leak.key, leak.kind) for leak in leaks] == [
        ("00000.tar", "000000000", "caption"),
        ("00001.parquet", "000010000", "caption"),
        ("00001.parquet", "000010001", "caption"),
    ]


def test_links_kept_are_told(tmp_path, clean, protected):
    plan = protected(clean(tmp_path / "in", 2, url="https://x/1.jpg"))
    leaks = inspect_run(plan.out).leaks
    assert [(leak.key, leak.kind) for leak in leaks] == [("000000000", "link"), ("000000001", "link")]


def test_links_stripped_are_gone(tmp_path, clean, protected):
    source = clean(tmp_path / "in", 2, url="https://x/1.jpg", seen={"at": [{"page_url": "https://x/"}]})
    assert inspect_run(protected(source, urls="strip").out).leaks == ()


def test_a_second_picture_in_a_kept_sample_is_found(tmp_path, make_shard, pair, photo_bytes, protected):
    (tmp_path / "in").mkdir()
    trailing = photo_bytes() + b"a motion photo's film"
    make_shard(tmp_path / "in" / "00000.tar", {"a": pair(1), "b": pair(2), "kept": {"jpg": trailing}})
    leaks = inspect_run(protected(tmp_path / "in").out).leaks
    assert [(leak.key, leak.kind) for leak in leaks] == [("kept", "extra picture")]


@pytest.mark.parametrize("what", ["nothing", "input", "no private"])
def test_what_is_no_run_is_refused(tmp_path, protected, source, what):
    if what == "no private":
        shutil.rmtree(protected(source).private)
    folder = {"nothing": tmp_path / "nowhere", "input": source, "no private": tmp_path / "out"}[what]
    with pytest.raises(ValueError, match=r"OUT of `protect shards`"):
        inspect_run(folder)


def test_an_unfinished_run_is_named(protected, source):
    plan = protected(source)
    (plan.out / "00001_stats.json").unlink()
    with pytest.raises(ValueError, match=r"00001\.tar: expected a finished run.*again"):
        inspect_run(plan.out)
    for tar in plan.out.glob("*.tar"):
        tar.unlink()
    with pytest.raises(ShardError):
        inspect_run(plan.out)
