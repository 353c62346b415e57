"""What users really have, from the command line to files, counts and exit codes; more kinds in test_shard_job.py."""

import errno
import io
import json
import os
import signal
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from protect.data.shard_writer import ShardWriter
from protect.data.shards import image_member, read_samples

RANDOM = ("--method", "random", "--size", "32")


@pytest.fixture
def shards(command, tmp_path):
    """shards(IN, *options): runs `protect shards IN OUT`; (what it said, OUT)."""

    def run(source, *options):
        out = tmp_path / "out"
        return command("shards", source, out, *RANDOM, *options), out

    return run


@pytest.fixture
def mixed(tmp_path, make_tar, pair, photo_bytes):
    """A folder with one shard of everything that goes wrong among three samples that do not."""
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)), (b"IDAT", b""), (b"IEND", b""))
    packed = (struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks)
    bomb = b"\x89PNG\r\n\x1a\n" + b"".join(packed)
    film = io.BytesIO()
    Image.new("RGB", (9, 9)).save(film, "WEBP", save_all=True, append_images=[Image.new("RGB", (9, 9), "red")])
    good = {f"good{i}": pair(i) for i in range(3)}
    members = [m for k, s in good.items() for m in ((f"{k}.jpg", s["jpg"]), (f"{k}.txt", s["txt"].encode()))]
    members += [
        ("cut.jpg", photo_bytes()[:700]), ("cut.txt", b"cut"),
        ("bomb.png", bomb), ("bomb.txt", b"bomb"),
        ("film.webp", film.getvalue()), ("film.txt", b"film"),
        ("alone.txt", b"no picture"),
        ("mute.jpg", photo_bytes()),
        ("blank.jpg", photo_bytes()), ("blank.txt", b"\n \n"),
        ("good1.jpg", photo_bytes(seed=9)), ("good1.txt", b"a second of that key"),
        ("a.dotted.jpg", photo_bytes()), ("a.dotted.txt", b"dots"),
    ]  # fmt: skip
    (tmp_path / "in").mkdir()
    make_tar(tmp_path / "in" / "00000.tar", members)
    return tmp_path / "in"


BAD = {
    "cut": "unusable image: expected a whole JPEG file",
    "bomb": "unusable image: expected at most 1000000 pixels, found 30000x30000",
    "film": "unusable image: expected a still picture, found 2 frames",
    "alone": "no image",
    "mute": "no caption",
    "blank": "no caption",
    "good1": "duplicate key",
    "a": "no image",
}


def test_all_kept_counted_and_named(shards, mixed, half_written):
    ran, out = shards(mixed, "--max-pixels", 1_000_000, "--json")
    assert ran.code == 1
    found = json.loads(ran.out)
    assert (found["count"], found["protected"], found["failed_to_protect"]) == (11, 3, 8)
    assert [error["key"] for error in found["errors"]] == list(BAD)
    assert all(error["reason"].startswith(BAD[error["key"]]) for error in found["errors"])
    before, after = ({s.key + str(i): s for i, s in enumerate(read_samples(p / "00000.tar"))} for p in (mixed, out))
    assert list(before) == list(after)
    assert [key[:-1] for key in before if before[key] != after[key]] == ["good0", "good1", "good2"]
    stats = json.loads((out / "00000_stats.json").read_bytes())
    assert stats["status_dict"] == {
        "duplicate key": 1, "no caption": 2, "no image": 2, "success": 3, "unusable image": 3,
    }  # fmt: skip
    assert half_written(out) == []


def test_all_told_in_plain_words(shards, mixed):
    ran, _ = shards(mixed, "--max-pixels", 1_000_000)
    lines = ran.out.splitlines()
    assert lines[0].startswith("3 of 11 pairs protected in 1 shard")
    assert "8 samples could not be protected and were passed through unchanged:" in lines
    assert sum(line.startswith("  00000.tar ") for line in lines) == 8
    assert ", 8 failed" in ran.err and "Traceback" not in ran.err


def test_all_skipped(shards, mixed, command):
    ran, out = shards(mixed, "--max-pixels", 1_000_000, "--on-error", "skip")
    assert ran.code == 1 and "8 samples could not be protected and were left out:" in ran.out
    assert [sample.key for sample in read_samples(out / "00000.tar")] == ["good0", "good1", "good2"]
    assert json.loads((out / "00000_stats.json").read_bytes())["skipped"] == 8
    assert command("inspect", out).code == 0


def test_first_refused(shards, mixed, half_written):
    ran, out = shards(mixed, "--on-error", "fail")
    assert ran.code == 2 and ran.out == ""
    assert ran.err.startswith("error: 00000.tar: cut: unusable image") and len(ran.err.splitlines()) == 1
    assert half_written(out) == [] and not list(out.glob("0*"))


def test_the_same_out_with_another_answer_after_a_refusal(shards, mixed):
    shards(mixed, "--on-error", "fail")
    ran, out = shards(mixed, "--on-error", "skip")
    assert ran.code == 1 and (out / "00000_stats.json").exists()


def test_truncated_tar(shards, clean, tmp_path, half_written):
    source = clean(tmp_path / "in", 4, 2)
    (source / "00000.tar").write_bytes((source / "00000.tar").read_bytes()[:11_000])
    ran, out = shards(source)
    assert ran.code == 1
    assert ran.out.startswith("4 of 4 pairs protected in 2 shards")
    assert "\n  00000.tar: expected a whole tar, found unexpected end of data after 2 complete samples" in ran.out
    assert half_written(out) == []
    again, _ = shards(source)
    assert (again.code, again.out) == (1, ran.out)


def test_truncated_tar_refused(shards, clean, tmp_path):
    source = clean(tmp_path / "in", 4, 2)
    (source / "00001.tar").write_bytes((source / "00001.tar").read_bytes()[:6_000])
    ran, out = shards(source, "--on-error", "fail")
    assert ran.code == 2 and "expected a whole tar" in ran.err and len(ran.err.splitlines()) == 2  # one is progress
    assert [p.name for p in sorted(out.glob("0*"))] == ["00000.tar", "00000_stats.json"]


def test_no_tar(shards, command, clean, tmp_path):
    source = clean(tmp_path / "in", 2)
    (source / "00001.tar").write_bytes(b"<html>rate limited</html>" * 100)
    ran, out = shards(source)
    assert ran.code == 1 and "00001.tar: expected a tar, plain or gzip, found a web page" in ran.out
    assert (out / "00000.tar").exists() and not (out / "00001.tar").exists()
    (source / "00000.tar").unlink()
    ran = command("shards", source, tmp_path / "again", *RANDOM)
    assert ran.code == 2 and "00001.tar: expected a tar" in ran.err and not (tmp_path / "again").exists()


def test_gzip_tar(shards, tmp_path, make_tar, pair):
    (tmp_path / "in").mkdir()
    members = [(f"k{i}.{e}", pair(i)[e]) for i in range(3) for e in ("jpg", "txt")]
    make_tar(tmp_path / "in" / "00000.tar.gz", [(n, d.encode() if isinstance(d, str) else d) for n, d in members])
    ran, out = shards(tmp_path / "in")
    assert ran.code == 0
    assert [p.name for p in sorted(out.glob("0*"))] == ["00000.tar.gz", "00000_stats.json"]
    assert len(list(read_samples(out / "00000.tar.gz"))) == 3


def test_transparency_depth_and_colour_kind_stay(shards, tmp_path, make_shard, photo_bytes):
    rgba = np.zeros((20, 30, 4), np.uint8)
    rgba[..., :3], rgba[..., 3] = 120, np.arange(30) * 8
    see_through = {}
    for kind in ("PNG", "WEBP"):
        buffer = io.BytesIO()
        Image.fromarray(rgba).save(buffer, kind, lossless=True, exact=True)
        see_through[kind] = buffer.getvalue()
    samples = {
        "png": {"png": see_through["PNG"], "txt": "x"},
        "webp": {"webp": see_through["WEBP"], "txt": "x"},
        "deep": {"png": photo_bytes("PNG", "I;16"), "txt": "x"},
        "print": {"jpg": photo_bytes("JPEG", "CMYK"), "txt": "x"},
        "grey": {"jpg": photo_bytes("JPEG", "L"), "txt": "x"},
        "dot": {"png": photo_bytes("PNG", "RGB", (1, 1)), "txt": "x"},
    }
    (tmp_path / "in").mkdir()
    make_shard(tmp_path / "in" / "00000.tar", samples)
    ran, out = shards(tmp_path / "in")
    assert ran.code == 0
    images = {s.key: Image.open(io.BytesIO(image_member(s).data)) for s in read_samples(out / "00000.tar")}
    assert {key: image.mode for key, image in images.items()} == {
        "png": "RGBA", "webp": "RGBA", "deep": "I;16", "print": "RGB", "grey": "L", "dot": "RGB",
    }  # fmt: skip
    for key in ("png", "webp"):
        assert (np.asarray(images[key])[..., 3] == rgba[..., 3]).all()
    records = map(json.loads, (out / "_protect/private/00000.jsonl").read_text().splitlines())
    assert {r["key"]: r["notes"] for r in records}["print"] == ["CMYK picture written as RGB"]


def test_nothing_usable(shards, tmp_path, make_shard):
    (tmp_path / "in").mkdir()
    make_shard(tmp_path / "in" / "00000.tar", {"a": {"txt": "x"}, "b": {"jpg": b""}})
    ran, out = shards(tmp_path / "in")
    assert ran.code == 2 and "at least 2 usable pairs" in ran.err and not list(out.glob("0*"))


def test_empty_folder_and_no_folder(shards, tmp_path):
    (tmp_path / "in").mkdir()
    for source in (tmp_path / "in", tmp_path / "elsewhere"):
        ran, out = shards(source)
        assert ran.code == 2 and len(ran.err.splitlines()) == 1 and not out.exists()


# --- places


def test_out_is_in_or_inside_or_holds_other_things(command, clean, tmp_path, tree):
    source = clean(tmp_path / "in", 2)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("x")
    before = tree(tmp_path)
    for out in (source, source / "out", tmp_path / "other", source / "00000.tar"):
        ran = command("shards", source, out, *RANDOM)
        assert ran.code == 2 and ran.err.startswith("error: OUT: expected") and len(ran.err.splitlines()) == 1
    assert tree(tmp_path) == before


def test_read_only_out(shards, clean, tmp_path, monkeypatch):
    true = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path and true(path, mode))
    ran, out = shards(clean(tmp_path / "in", 2))
    assert ran.code == 2 and "read-only" in ran.err and not out.exists()


def test_protected_input_needs_force(shards, command, clean, tmp_path):
    _, out = shards(clean(tmp_path / "in", 2))
    ran = command("shards", out, tmp_path / "twice", *RANDOM)
    assert ran.code == 2 and "protected already" in ran.err and "--force" in ran.err
    assert not (tmp_path / "twice").exists()
    assert command("shards", out, tmp_path / "twice", *RANDOM, "--force").code == 0


# --- links


def test_links_need_an_answer(shards, clean, tmp_path, tree):
    source = clean(tmp_path / "in", 2, url="https://x/1.jpg")
    ran, out = shards(source)
    assert ran.code == 2 and "--urls strip" in ran.err and "--urls keep" in ran.err and not out.exists()
    ran, out = shards(source, "--urls", "strip")
    assert ran.code == 0 and b"https://x" not in b"".join(tree(out).values())


def test_links_late_in_a_shard_need_an_answer(shards, make_shard, pair, tmp_path, half_written):
    (tmp_path / "in").mkdir()
    samples = {f"{i:03}": pair(i) for i in range(12)} | {"late": pair(12, meta={"image_url": "https://x/1.jpg"})}
    make_shard(tmp_path / "in" / "00000.tar", samples)
    ran, out = shards(tmp_path / "in")
    assert ran.code == 2 and "image_url" in ran.err and not list(out.glob("0*")) and half_written(out) == []
    ran, out = shards(tmp_path / "in", "--urls", "keep")
    assert ran.code == 0 and b"https://x/1.jpg" in (out / "00000.tar").read_bytes()


# --- interrupted


def after(count, call, then):
    """`call`, but its count-th time ends in `then`."""
    left = [count]

    def wrapped(*arguments):
        left[0] -= 1
        if left[0] == 0:
            then()
        return call(*arguments)

    return wrapped


def full_disk():
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "00001.tar.part")


@pytest.mark.parametrize(
    ("method", "count", "done"),
    [("write", 1, 0), ("write", 5, 1), ("_put", 20, 0), ("commit", 2, 1)],
    ids=["first sample", "second shard", "middle", "last moment"],
)
@pytest.mark.parametrize("how", ["Ctrl-C", "full disk"])
def test_interrupted_then_resumed(
    shards, command, clean, tmp_path, tree, half_written, monkeypatch, how, method, count, done
):
    source = clean(tmp_path / "in", 3, 3, parquet=True)
    stop = full_disk if how == "full disk" else lambda: signal.raise_signal(signal.SIGINT)
    with monkeypatch.context() as patch:
        patch.setattr(ShardWriter, method, after(count, getattr(ShardWriter, method), stop))
        ran, out = shards(source)
    *progress, error = filter(None, ran.err.splitlines())
    assert ran.out == "" and all(line.startswith("0000") for line in progress)
    if how == "Ctrl-C":
        assert ran.code == 130 and error.startswith("interrupted")
    else:
        assert ran.code == 2 and "No space left on device" in error and "rerun the command to resume" in error
    assert half_written(out) == [] and len(list(out.glob("*.tar"))) == len(progress) == done
    assert shards(source)[0].code == 0
    assert command("shards", source, tmp_path / "whole", *RANDOM).code == 0
    assert tree(out) == tree(tmp_path / "whole")


def test_interrupted_while_fitting(shards, clean, tmp_path, monkeypatch, tree):
    source = clean(tmp_path / "in", 2)
    with monkeypatch.context() as patch:
        patch.setattr("protect.jobs.fit.fit", lambda *_: signal.raise_signal(signal.SIGINT))
        ran, out = shards(source)
    assert ran.code == 130 and set(tree(out)) == {"_protect/private/job.json"}
    assert shards(source)[0].code == 0
