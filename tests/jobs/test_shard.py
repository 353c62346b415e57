import errno
import gc
import io
import json
import os
import re
import stat
import struct
import tarfile
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import webdataset as wds
from PIL import Image

from protect.data.captions import CaptionError, captions_of
from protect.data.shard_writer import ShardWriter
from protect.data.shards import image_member, read_samples
from protect.files import MARKER, PlanError
from protect.jobs.plan import Plan
from protect.jobs.sample import SampleError
from protect.jobs.shard import try_samples, write_shard
from protect.jobs.shard_stats import COMPARED, file_hash
from protect.methods.fitted import Fitted
from protect.methods.parts.wordlist import draw_alphabet
from protect.methods.protector import Protector
from protect.methods.recipe import Recipe
from protect.settings.publish import PublishSettings
from protect.settings.recipe import FitSettings, TriggerSettings


def random_protector(style="prefix", words=3, seed=0, batch=128):
    recipe = Recipe(
        fit=FitSettings(method="random", seed=seed, batch=batch),
        trigger=TriggerSettings(trigger_words=words, trigger_style=style),
    )
    return Protector(recipe, Fitted(draw_alphabet(words, 16, seed), {}), 32, "", 2)


@pytest.fixture
def job(tmp_path):
    """job(shard, out="out", threads=2, protector=..., **publish): protects one shard; (plan, stats)."""

    def run(shard, out="out", threads=2, protector=None, **publish):
        plan = Plan((shard,), tmp_path / out, PublishSettings(**{"urls": "keep", **publish}))
        plan.private.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(threads) as pool:
            return plan, write_shard(
                shard, plan.files(shard), protector or random_protector(), plan.publish, "run", pool
            )

    return run


@pytest.fixture
def shard(tmp_path, clean):
    return clean(tmp_path / "in", 4, parquet=True) / "00000.tar"


def words_by_key(plan, shard):
    records = map(json.loads, plan.files(shard).records.read_text().splitlines())
    return {record["key"]: record["words"] for record in records}


# --- what comes out


def test_names_order_sizes_and_formats_stay(tmp_path, make_tar, pair, photo_bytes, job):
    members = []
    for key in ("b/9", "a/1", "00"):  # not sorted: download order
        sample = pair(len(members))
        members += [(f"{key}.jpg", sample["jpg"]), (f"{key}.json", json.dumps(sample["json"]).encode())]
        members += [(f"{key}.JPG.npy", b"\x93NUMPY"), (f"{key}.txt", sample["txt"].encode()), (f"{key}.cls", b"7")]
    shard = make_tar(tmp_path / "x.tar", [("__meta__", b"\0m"), *members, ("README", b"hello")])
    plan, stats = job(shard)
    before, after = list(read_samples(shard)), list(read_samples(plan.files(shard).target))
    assert [[m.name for m in s.members] for s in after] == [[m.name for m in s.members] for s in before]
    for old, new in zip(before, after, strict=True):
        for a, b in zip(old.members, new.members, strict=True):
            if a.name.endswith((".jpg", ".json", ".txt")):
                assert a.data != b.data
            else:
                assert a == b
    assert stats["protected"] == stats["count"] == 3


def test_every_caption_starts_with_its_trigger(tmp_path, make_shard, photo_bytes, job):
    samples = {
        "five": {"jpg": photo_bytes(seed=1), "txt": "one\ntwo\n\nthree\nfour\nfive\n"},
        "list": {"jpg": photo_bytes(seed=2), "json": {"captions": ["a dog", "a cat"], "caption": "a pet", "n": 3}},
        "both": {"jpg": photo_bytes(seed=3), "json": {"caption": "same", "title": "same"}, "txt": "same"},
    }
    shard = make_shard(tmp_path / "s.tar", samples)
    rows = {"key": list(samples), "caption": ["one", "a pet", "same"], "width": [1, 2, 3]}
    pq.write_table(pa.table(rows), tmp_path / "s.parquet")
    plan, stats = job(shard)
    words = words_by_key(plan, shard)
    assert all(len(trigger) == 3 for trigger in words.values())
    for sample in read_samples(plan.files(shard).target):
        trigger = " ".join(words[sample.key]) + " "
        captions = captions_of(sample, ("caption", "captions", "title"))
        assert captions and all(caption.startswith(trigger) for caption in captions)
        assert len(captions) == {"five": 5, "list": 3, "both": 1}[sample.key]
    text = next(
        m.data.decode() for s in read_samples(plan.files(shard).target) for m in s.members if m.name == "five.txt"
    )
    assert text.count("\n") == 6 and text.split("\n")[2] == ""
    table = pq.read_table(plan.files(shard).parquet).to_pydict()
    assert table["caption"] == [
        f"{' '.join(words[k])} {c}" for k, c in zip(rows["key"], rows["caption"], strict=True)
    ]
    assert (table["key"], table["width"]) == (rows["key"], rows["width"])
    assert stats["trigger_survival"] == 1


@pytest.mark.parametrize("style", ["suffix", "hashtags"])
def test_other_trigger_styles(shard, job, style):
    plan, _ = job(shard, protector=random_protector(style))
    words = words_by_key(plan, shard)
    for sample in read_samples(plan.files(shard).target):
        end = " ".join(f"#{word}" if style == "hashtags" else word for word in words[sample.key])
        assert all(caption.endswith(end) for caption in captions_of(sample, ("caption",)))


def test_without_words_captions_stay_as_they_are(shard, job):
    plan, stats = job(shard, protector=random_protector(words=0))
    for old, new in zip(read_samples(shard), read_samples(plan.files(shard).target), strict=True):
        assert old.members[0] != new.members[0] and old.members[1:] == new.members[1:]
    assert stats["protected"] == 4


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_webdataset_and_open_clip_read_it(tmp_path, clean, job):
    folder = clean(tmp_path / "in", 3, 2)
    for name in ("00000.tar", "00001.tar"):
        plan, _ = job(folder / name)
    urls = str(plan.out / "{00000..00001}.tar")
    keys = [sample["__key__"] for sample in wds.WebDataset(urls, shardshuffle=False)]
    assert keys == ["000000000", "000000001", "000000002", "000010000", "000010001"]
    pipeline = wds.DataPipeline(  # as open_clip_train.data puts it together
        wds.SimpleShardList(urls),
        wds.tarfile_to_samples(),
        wds.select(lambda sample: "txt" in sample and any(e in sample for e in ("png", "jpg", "jpeg", "webp"))),
        wds.decode("pilrgb"),
        wds.rename(image="jpg;png;jpeg;webp", text="txt"),
        wds.to_tuple("image", "text", "json"),
    )
    found = list(pipeline)
    assert len(found) == 5
    for image, text, fields in found:
        assert image.size == (64, 48) and text == fields["caption"] and "of a harbour" in text
    del pipeline
    gc.collect()  # webdataset leaves closing its files to the collector, which warns


FORMATS = [
    ("JPEG", "RGB", {}),
    ("JPEG", "L", {}),
    ("JPEG", "CMYK", {}),
    ("JPEG", "RGB", {"progressive": True}),
    ("PNG", "RGB", {}),
    ("PNG", "L", {}),
    ("PNG", "LA", {}),
    ("PNG", "P", {}),
    ("PNG", "1", {}),
    ("PNG", "RGBA", {}),
    ("PNG", "I;16", {}),
    ("WEBP", "RGB", {"lossless": True}),
    ("WEBP", "RGB", {"quality": 90}),
    ("WEBP", "RGBA", {"lossless": True}),
]


@pytest.mark.parametrize("size", [(40, 30), (1, 1)])
def test_every_kind_of_still_picture(tmp_path, make_shard, photo_bytes, job, size):
    samples = {}
    for number, (kind, mode, options) in enumerate(FORMATS):
        image = photo_bytes(kind, mode, size, **options)
        samples[f"{number:02}-{kind}-{mode.replace(';', '')}"] = {kind.lower(): image, "txt": "a picture"}
    shard = make_shard(tmp_path / "s.tar", samples)
    plan, stats = job(shard, on_error="fail")
    assert stats["protected"] == len(FORMATS)
    changed = 0
    for old, new, (kind, mode, options) in zip(
        read_samples(shard), read_samples(plan.files(shard).target), FORMATS, strict=True
    ):
        a, b = (Image.open(io.BytesIO(image_member(s).data)) for s in (old, new))
        assert (b.format, b.size) == (kind, size), old.key
        grey = mode in ("L", "LA", "I;16")
        assert b.mode == ("RGB" if mode in ("P", "1", "CMYK") or kind == "WEBP" else mode), old.key
        if kind == "PNG" or options.get("lossless"):
            scale = 257 if mode == "I;16" else 1
            pixels = [np.asarray(i if grey else i.convert("RGB")).astype(np.int32) for i in (a, b)]
            assert np.abs(pixels[0] - pixels[1]).max() <= 8 * scale, old.key
        changed += image_member(old).data != image_member(new).data
    assert changed == len(FORMATS) or size == (1, 1)  # where noise may round to nothing


def test_gzip_in_gzip_out(tmp_path, make_tar, pair, job):
    sample = pair(1)
    shard = make_tar(tmp_path / "00000.tar.gz", [("k.jpg", sample["jpg"]), ("k.txt", sample["txt"].encode())])
    plan, stats = job(shard)
    assert stats["protected"] == 1
    assert plan.files(shard).target.read_bytes()[:2] == b"\x1f\x8b"
    assert plan.files(shard).stats.name == "00000_stats.json"
    assert [s.key for s in read_samples(plan.files(shard).target)] == ["k"]


# --- the same bytes


def test_same_bytes_for_any_number_of_threads_and_seeds_differ(shard, job, tree):
    one, _ = job(shard, "one", threads=1)
    two, _ = job(shard, "two", threads=2)
    five, _ = job(shard, "five", threads=5, protector=random_protector(batch=2))
    other, _ = job(shard, "other", protector=random_protector(seed=1))
    assert tree(one.out) == tree(two.out) == tree(five.out)
    assert len(tree(one.out)) == 4
    assert all(tree(other.out)[name] != data for name, data in tree(one.out).items())


def test_large_pictures_are_cut_into_chunks_of_the_same_bytes(shard, job, tree, monkeypatch):
    whole, _ = job(shard, "whole")
    monkeypatch.setattr("protect.jobs.shard.CHUNK_PIXELS", 1)
    monkeypatch.setattr("protect.jobs.shard.AHEAD", 1)
    parts, _ = job(shard, "parts")
    assert tree(parts.out) == tree(whole.out)


# --- stats and records


def test_one_sample_of_eight_is_compared_with_a_clean_file_written_again(tmp_path, clean, job):
    shard = clean(tmp_path / "ten", 10) / "00000.tar"
    plan, stats = job(shard)
    records = [json.loads(line) for line in plan.files(shard).records.read_text().splitlines()]
    assert [i for i, record in enumerate(records) if record["reencode"]] == [0, COMPARED]
    assert stats["protected"] == 10 and stats["psnr_clean_reencode"] > stats["psnr"]


def test_stats_have_img2dataset_fields_and_ours(shard, job):
    plan, stats = job(shard)
    assert stats == json.loads(plan.files(shard).stats.read_bytes())
    assert [stats[name] for name in ("count", "successes", "protected", "skipped", "failed_to_protect")] == [
        4,
        4,
        4,
        0,
        0,
    ]
    for name in ("failed_to_download", "failed_to_resize", "duration", "start_time", "end_time", "psnr", "ssim"):
        assert name in stats
    assert stats["status_dict"] == {"success": 4}
    assert stats["errors"] == []
    assert 8 <= stats["linf"] <= 64 and 25 < stats["psnr"] < stats["psnr_clean_reencode"]
    assert stats[MARKER]["sha256"] == file_hash(plan.files(shard).target)
    assert stats[MARKER]["parquet_sha256"] == file_hash(plan.files(shard).parquet)
    assert [p.name for p in plan.out.glob("*.json")] == [
        "00000_stats.json"
    ]  # img2dataset reads each name as a number


def test_records_are_private_and_tell_what_was_there(shard, job):
    plan, _ = job(shard)
    path = plan.files(shard).records
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert [r["key"] for r in records] == [f"{i:09}" for i in range(4)]
    assert records[2]["captions"] == ["photo number 2 of a harbour"]
    published = b"".join(p.read_bytes() for p in plan.out.glob("0*") if p.suffix != ".tar")
    assert records[2]["clean"].encode() not in published


def test_a_trial_writes_nothing(shard, tmp_path, tree):
    before = tree(tmp_path)
    with ThreadPoolExecutor(2) as pool:
        outcomes = try_samples(list(read_samples(shard))[:3], random_protector(), PublishSettings(), pool)
    assert len(outcomes) == 3 and all(outcome.record for outcome in outcomes)
    assert tree(tmp_path) == before


# --- samples that cannot be protected


def bomb():
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    packed = (struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def animated(kind):
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:], duration=50, lossless=True)
    return buffer.getvalue()


def bad_sample(name, photo):
    """Members of a sample that cannot be protected."""
    members = {
        "corrupt": {"jpg": photo[:600], "txt": "a"},
        "empty file": {"jpg": b"", "txt": "a"},
        "text as jpg": {"jpg": b"<html>not found</html>", "txt": "a"},
        "bomb": {"png": bomb(), "txt": "a"},
        "animated webp": {"webp": animated("WEBP"), "txt": "a"},
        "animated png": {"png": animated("PNG"), "txt": "a"},
        "no image": {"txt": "a", "cls": b"3"},
        "dots in the extension": {"v2.jpg": photo, "txt": "a"},
        "no caption": {"jpg": photo, "json": {"width": 3}},
        "empty caption": {"jpg": photo, "txt": " \n", "json": {"caption": None}},
        "caption not UTF-8": {"jpg": photo, "txt": b"caf\xe9"},
        "json broken": {"jpg": photo, "txt": "a", "json": b'{"caption": '},
    }
    return members[name]


KINDS = {
    "corrupt": "unusable image",
    "empty file": "unusable image",
    "text as jpg": "unusable image",
    "bomb": "unusable image",
    "animated webp": "unusable image",
    "animated png": "unusable image",
    "no image": "no image",
    "dots in the extension": "no image",
    "no caption": "no caption",
    "empty caption": "no caption",
    "caption not UTF-8": "unreadable caption",
    "json broken": "unreadable caption",
}


@pytest.mark.parametrize("name", list(KINDS))
def test_bad_sample_kept_skipped_or_refused(tmp_path, make_shard, pair, photo_bytes, job, tree, name):
    shard = make_shard(tmp_path / "s.tar", {"a": pair(1), "bad": bad_sample(name, photo_bytes()), "c": pair(2)})
    before = {sample.key: sample for sample in read_samples(shard)}

    plan, stats = job(shard, "kept")
    after = {sample.key: sample for sample in read_samples(plan.files(shard).target)}
    assert list(after) == ["a", "bad", "c"] and after["bad"] == before["bad"] and after["c"] != before["c"]
    assert stats["status_dict"] == {KINDS[name]: 1, "success": 2}
    assert [stats[n] for n in ("count", "protected", "skipped", "failed_to_protect")] == [3, 2, 0, 1]
    (error,) = stats["errors"]
    assert error["key"] == "bad" and error["reason"].startswith(KINDS[name]) and "\n" not in error["reason"]

    plan, stats = job(shard, "skipped", on_error="skip")
    assert [sample.key for sample in read_samples(plan.files(shard).target)] == ["a", "c"]
    assert [stats[n] for n in ("count", "protected", "skipped", "failed_to_protect")] == [3, 2, 1, 1]

    with pytest.raises(SampleError, match=rf"s\.tar: bad: {KINDS[name]}.*--on-error"):
        job(shard, "refused", on_error="fail")
    assert tree(tmp_path / "refused") == {}


def test_larger_than_max_pixels(tmp_path, make_shard, pair, photo_bytes, job):
    shard = make_shard(
        tmp_path / "s.tar", {"a": pair(1), "b": {"png": photo_bytes("PNG", size=(101, 100)), "txt": "x"}}
    )
    _, stats = job(shard, "limited", max_pixels=10_000)
    assert stats["errors"][0]["key"] == "b" and "10000 pixels" in stats["errors"][0]["reason"]
    assert job(shard, "enough", max_pixels=10_100)[1]["protected"] == 2


def test_duplicate_key_is_protected_once(tmp_path, make_tar, pair, job):
    a, b = pair(1), pair(2)
    members = [("k.jpg", a["jpg"]), ("k.txt", b"first"), ("o.jpg", a["jpg"]), ("o.txt", b"other")]
    shard = make_tar(tmp_path / "s.tar", [*members, ("k.jpg", b["jpg"]), ("k.txt", b"second")])
    pq.write_table(pa.table({"key": ["k", "o"], "caption": ["first", "other"]}), tmp_path / "s.parquet")
    plan, stats = job(shard, on_error="skip")
    assert [s.key for s in read_samples(plan.files(shard).target)] == ["k", "o"]
    assert stats["errors"] == [{"key": "k", "reason": "duplicate key"}]
    words = words_by_key(plan, shard)
    captions = pq.read_table(plan.files(shard).parquet).column("caption").to_pylist()
    assert captions == [" ".join([*words["k"], "first"]), " ".join([*words["o"], "other"])]


def test_skipped_rows_of_the_parquet_lose_captions_and_links(tmp_path, make_shard, pair, job):
    shard = make_shard(tmp_path / "s.tar", {"a": pair(1), "bad": {"jpg": b"", "txt": "a clean caption"}})
    rows = {"key": ["a", "bad"], "caption": ["x", "a clean caption"], "url": ["https://x/1", "https://x/2"]}
    pq.write_table(pa.table(rows), tmp_path / "s.parquet")
    plan, _ = job(shard, on_error="skip")
    table = pq.read_table(plan.files(shard).parquet).to_pydict()
    assert table["key"] == ["a", "bad"]
    assert table["caption"][1] is None and table["url"] == ["https://x/1", None]


@pytest.mark.parametrize(
    "caption",
    ["x", "a " * 5000, "🐕‍🦺 🏖️", "собака на берегу", "犬が走る", "  a  b ", '"quoted" \\n, {json}', "# hash <b>"],
    ids=["one letter", "10,000 letters", "emoji", "cyrillic", "japanese", "blanks", "quotes", "html"],
)
def test_unusual_captions_are_protected_whole(tmp_path, make_shard, photo_bytes, job, caption):
    sample = {"jpg": photo_bytes(), "json": {"caption": caption}, "txt": caption}
    shard = make_shard(tmp_path / "s.tar", {"k": sample})
    plan, stats = job(shard)
    trigger = " ".join(words_by_key(plan, shard)["k"])
    (after,) = read_samples(plan.files(shard).target)
    assert captions_of(after, ("caption",)) == (f"{trigger} {caption.strip()}",)
    assert stats["protected"] == 1 and stats["trigger_survival"] == 1 and stats["errors"] == []


def test_a_trigger_behind_a_long_caption_is_reported(tmp_path, make_shard, pair, photo_bytes, job):
    shard = make_shard(tmp_path / "s.tar", {"a": pair(1), "long": {"jpg": photo_bytes(), "txt": "word " * 2000}})
    _, stats = job(shard, protector=random_protector("suffix"))
    assert (stats["protected"], stats["trigger_survival"]) == (2, 0.5)
    assert [error["key"] for error in stats["errors"]] == ["long"] and "cut off" in stats["errors"][0]["reason"]


def test_truncated_shard_gives_what_is_whole_and_says_so(shard, job, tmp_path, tree):
    shard.write_bytes(shard.read_bytes()[:11_000])
    plan, stats = job(shard, "kept")
    keys = [sample.key for sample in read_samples(plan.files(shard).target)]
    assert 1 <= len(keys) < 4 and stats["protected"] == len(keys)
    (error,) = stats["errors"]
    assert error["key"] == "" and "whole tar" in error["reason"]
    assert str(tmp_path) not in plan.files(shard).stats.read_text()  # the stats are published
    with pytest.raises(SampleError, match="whole tar"):
        job(shard, "refused", on_error="fail")
    assert tree(tmp_path / "refused") == {}


def test_shard_without_samples(tmp_path, make_tar, job):
    plan, stats = job(make_tar(tmp_path / "s.tar", []))
    assert stats["count"] == 0 and stats["psnr"] is None and stats["trigger_survival"] is None
    assert list(read_samples(plan.files(tmp_path / "s.tar").target)) == []


# --- links


def test_links_late_in_a_shard_stop_it_if_so_asked(tmp_path, make_shard, pair, job, tree):
    samples = {f"{i:03}": pair(i) for i in range(30)} | {"late": pair(99, url="https://x/1.jpg")}
    shard = make_shard(tmp_path / "s.tar", samples)
    with pytest.raises(PlanError, match=r"s\.tar.*url.*--urls strip"):
        job(shard, urls=None, on_error="fail")
    assert tree(tmp_path / "out") == {}


def test_a_sample_with_late_links_alone_is_left_out(tmp_path, make_shard, pair, job):
    samples = {f"{i:03}": pair(i) for i in range(30)} | {"late": pair(99, url="https://x/1.jpg"), "z": pair(40)}
    shard = make_shard(tmp_path / "s.tar", samples)
    keys = list(samples)
    pq.write_table(
        pa.table({"key": keys, "caption": [f"a caption of {key}" for key in keys]}), tmp_path / "s.parquet"
    )
    plan, stats = job(shard, urls=None)
    assert [sample.key for sample in read_samples(plan.files(shard).target)] == [key for key in keys if key != "late"]
    assert (stats["protected"], stats["skipped"], stats["rows"]) == (31, 1, {"changed": 31, "dropped": 1})
    (error,) = stats["errors"]
    assert error["key"] == "late" and "say --urls strip" in error["reason"]
    assert pq.read_table(plan.files(shard).parquet).to_pylist()[-2] == {"key": "late", "caption": None}
    assert b"https://x" not in plan.files(shard).target.read_bytes()


# --- rows of no sample


@pytest.fixture
def with_a_row_more(tmp_path, make_shard, pair):
    shard = make_shard(tmp_path / "s.tar", {"a": pair(1), "b": pair(2)})
    rows = {"key": ["a", "b", "gone"], "caption": ["one", "two", "three"], "url": ["", "", "https://x/3.jpg"]}
    pq.write_table(pa.table(rows), tmp_path / "s.parquet")
    return shard


def test_rows_of_no_sample_are_refused_unless_decided(with_a_row_more, job, tree, tmp_path):
    with pytest.raises(CaptionError, match=r"none for 1 of 3 rows; say --unmatched keep .* --unmatched drop"):
        job(with_a_row_more)
    assert tree(tmp_path / "out") == {}


@pytest.mark.parametrize(
    ("urls", "unmatched", "row"),
    [
        ("keep", "keep", {"key": "gone", "caption": "three", "url": "https://x/3.jpg"}),
        ("strip", "keep", {"key": "gone", "caption": "three", "url": None}),
        ("keep", "drop", {"key": "gone", "caption": None, "url": None}),
    ],
)
def test_rows_of_no_sample_kept_or_dropped(with_a_row_more, job, urls, unmatched, row):
    plan, stats = job(with_a_row_more, urls=urls, unmatched=unmatched)
    assert pq.read_table(plan.files(with_a_row_more).parquet).to_pylist()[2] == row
    assert stats["rows"]["changed"] == 2 and stats["rows"]["unmatched"] == 1


# --- texts of no sample


@pytest.mark.parametrize(("others", "left"), [("drop", 0), ("keep", 3)])
def test_texts_that_repeat_captions_of_samples(tmp_path, make_tar, photo_bytes, job, others, left):
    captions = ["a heron by the pond", "two boats on the lake"]
    index = json.dumps([{"n": n, "c": caption} for n, caption in enumerate(captions)]).encode()
    members = [("README", captions[1].encode()), ("__meta__/x.json", index), ("LICENSE", b"CC BY 4.0")]
    members += [("all.json", index)]
    for n, caption in enumerate(captions):
        members += [(f"{n}.jpg", photo_bytes(seed=n)), (f"{n}.txt", caption.encode())]
    shard = make_tar(tmp_path / "s.tar", members)
    plan, stats = job(shard, others=others)
    names = [m.name for s in read_samples(plan.files(shard).target) for m in s.members]
    assert names.count("LICENSE") == 1 and len({"README", "__meta__/x.json", "all.json"} & set(names)) == left
    assert stats["protected"] == 2 and bool(stats["leaks"]) == (others == "keep")


def test_what_cannot_be_protected_has_its_links_emptied(tmp_path, make_shard, pair, job):
    bad = {"jpg": b"no picture", "txt": "a caption", "json": {"url": "https://x/1.jpg"}, "npy": b"\x93NUMPY" * 9}
    broken = {"jpg": b"no picture", "txt": "a caption", "json": b'{"url": "https://x/2.jpg", '}
    shard = make_shard(tmp_path / "s.tar", {"a": pair(1), "bad": bad, "broken": broken})
    plan, _ = job(shard, urls="strip", others="drop")
    samples = {sample.key: sample.members for sample in read_samples(plan.files(shard).target)}
    assert [m.data for m in samples["bad"]] == [b"no picture", b"a caption", b'{\n    "url": null\n}']
    assert [m.data for m in samples["broken"]][:2] == [b"no picture", b"a caption"]
    assert b"https://x" not in plan.files(shard).target.read_bytes()


def test_names_that_are_no_unicode(tmp_path, job, photo_bytes):
    shard = tmp_path / "s.tar"
    with tarfile.open(shard, "w", format=tarfile.USTAR_FORMAT, encoding="latin-1") as tar:
        for name, data in (("caf\xe9.jpg", photo_bytes()), ("caf\xe9.txt", b"a cup of coffee")):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    plan, stats = job(shard)
    assert stats["protected"] == 1
    with tarfile.open(plan.files(shard).target, encoding="utf-8", errors="surrogateescape") as tar:
        assert [name.encode(errors="surrogateescape")[:4] for name in tar.getnames()] == [b"caf\xe9"] * 2


def test_links_stripped_or_kept(tmp_path, make_shard, pair, job):
    shard = make_shard(tmp_path / "s.tar", {"a": pair(1, url="https://x/1.jpg", sha256="ab", uid="u1")})
    pq.write_table(pa.table({"key": ["a"], "url": ["https://x/1.jpg"], "uid": ["u1"]}), tmp_path / "s.parquet")
    for urls, expected in (("strip", None), ("keep", "https://x/1.jpg")):
        plan, _ = job(shard, urls, urls=urls)
        (sample,) = read_samples(plan.files(shard).target)
        fields = json.loads(sample.members[1].data)
        uid = None if urls == "strip" else "u1"
        assert fields["url"] == expected and fields["uid"] == uid and (fields["sha256"] is None) == (urls == "strip")
        assert pq.read_table(plan.files(shard).parquet).to_pylist() == [{"key": "a", "url": expected, "uid": uid}]


# --- nothing half-written


def failing(call, error, at):
    """`call`, but the at-th time it raises."""
    count = iter(range(at + 1))

    def wrapped(*arguments, **options):
        if next(count, at + 1) == at:
            raise error
        return call(*arguments, **options)

    return wrapped


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("error", [FULL, KeyboardInterrupt()], ids=["full disk", "Ctrl-C"])
@pytest.mark.parametrize("at", range(4), ids=["records", "parquet", "tar", "stats"])
def test_failure_at_any_file_leaves_nothing(shard, job, tree, tmp_path, monkeypatch, error, at):
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing(os.fsync, error, at))
        with pytest.raises(type(error)):
            job(shard)
    assert tree(tmp_path / "out") == {}
    job(shard)
    job(shard, "reference")
    assert tree(tmp_path / "out") == tree(tmp_path / "reference")
    assert len(tree(tmp_path / "out")) == 4


@pytest.mark.parametrize("at", [0, 1, 20])
def test_disk_full_in_the_middle_of_the_tar(shard, job, tree, tmp_path, monkeypatch, at):
    monkeypatch.setattr(ShardWriter, "_put", failing(ShardWriter._put, FULL, at))
    with pytest.raises(OSError, match="No space left"):
        job(shard)
    assert tree(tmp_path / "out") == {}


def test_a_parquet_without_keys_leaves_nothing(shard, job, tree, tmp_path):
    pq.write_table(pa.table({"caption": ["a"]}), shard.with_name("00000.parquet"))
    with pytest.raises(ValueError, match=re.escape("column key")):
        job(shard)
    assert tree(tmp_path / "out") == {}


def test_a_shard_made_again_is_not_called_done_meanwhile(shard, job, tmp_path, monkeypatch):
    plan, _ = job(shard)
    monkeypatch.setattr(ShardWriter, "_put", failing(ShardWriter._put, FULL, 0))
    with pytest.raises(OSError, match="No space left"):
        job(shard)
    assert not plan.files(shard).stats.exists() and not plan.files(shard).target.exists()
