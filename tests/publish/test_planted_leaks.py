"""Fifty leaks of ten kinds, planted in protected shards: all of them are found, and nothing else."""

import base64
import gzip
import hashlib
import io
import json
import tarfile
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from protect.publish.leaks import scan_parquet, scan_shard
from protect.publish.originals import originals_of

KEYS = [f"{n:03}" for n in range(5)]
CAPTIONS = dict(
    zip(
        KEYS,
        [
            "a red fox sleeping under an old oak tree",
            "two fishing boats on a calm blue lake",
            "children flying kites above a sandy beach",
            "a steam train crossing a stone viaduct",
            "an owl perched on a wooden fence at dusk",
        ],
        strict=True,
    )
)
DIGESTS = ("md5", "sha1", "sha256", "sha512", "md5")
WORDS = "palette inspection algorithm"


def scene(key):
    small = np.random.default_rng(int(key)).integers(30, 226, (6, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((192, 144), Image.Resampling.BICUBIC))


def protected(key):
    tiles = np.random.default_rng(50 + int(key)).choice([-8, 8], (18, 24, 1))
    return (scene(key).astype(int) + np.kron(tiles, np.ones((8, 8, 1), int))).clip(0, 255).astype(np.uint8)


def encoded(pixels, kind="JPEG", **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def clean_file(key):
    return encoded(scene(key), quality=93)


def resized(key, size):
    return np.asarray(Image.fromarray(scene(key)).resize(size, Image.Resampling.LANCZOS))


def array(pixels):
    buffer = io.BytesIO()
    np.save(buffer, pixels)
    return buffer.getvalue()


def zipped(name, data):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, data)
    return buffer.getvalue()


def digest(name, key):
    return hashlib.new(name, clean_file(key))


def pickled(text):
    return b"\x80\x04\x95\xff" + text.encode() + b"\xfe."


def dumps(value):
    return json.dumps(value).encode()


# kind of leak -> what is planted for each of five samples: extension and bytes
PLANTED = {
    "picture equal": lambda k: [("png", encoded(scene(k), "PNG"))],
    "picture at another size": lambda k: [("thumb.jpg", encoded(resized(k, (96, 72)), quality=85))],
    "picture in an array": lambda k: [("npz", zipped("image.npy", array(scene(k).astype(np.float32) / 255)))],
    "picture in JSON": lambda k: [("json", dumps({"a": [{"b": base64.b64encode(clean_file(k)).decode()}]}))],
    "caption in JSON": lambda k: [("json", dumps({"meta": [{"title": f" {CAPTIONS[k].upper()}. "}]}))],
    "caption in a longer text": lambda k: [("en.txt", f"Title: {CAPTIONS[k]} (no. 7)".encode())],
    "caption in another encoding": lambda k: [("note", CAPTIONS[k].encode("utf-16"))],
    "caption in packed data": lambda k: [("pkl.gz", gzip.compress(pickled(CAPTIONS[k])))],
    "hash": lambda k: [("json", dumps({"n": {"m": digest(DIGESTS[int(k)], k).hexdigest()}}))],
    "link": lambda k: [("json", dumps({"x": {"imageUrl": f"https://photos.example.org/{k}"}}))],
}  # fmt: skip
EXPECTED = {"picture": "clean picture", "caption": "caption", "hash": "hash", "link": "link"}


def write(path, members):
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


@pytest.fixture
def clean(tmp_path):
    (tmp_path / "in").mkdir()
    members = [m for k in KEYS for m in ((f"{k}.jpg", clean_file(k)), (f"{k}.txt", CAPTIONS[k].encode()))]
    write(tmp_path / "in" / "0.tar", members)
    return tmp_path / "in" / "0.tar"


def originals(clean):
    return originals_of(clean, ("caption",), {str(int(k)): lambda caption: f"{WORDS} {caption}" for k in KEYS})


def published(path, planted):
    members = []
    for key in KEYS:
        members += [
            (f"{key}.jpg", encoded(protected(key), quality=95)),
            (f"{key}.txt", f"{WORDS} {CAPTIONS[key]}".encode()),
        ]
        members += [(f"{key}.{extension}", data) for extension, data in planted(key)]
    write(path, members)
    return path


def test_protected_files_have_no_leak(tmp_path, clean):
    fields = {"caption": f"{WORDS} a", "license": "https://creativecommons.org/licenses/by/4.0/", "width": 192}
    shown_again = np.asarray(Image.fromarray(protected("000")).resize((96, 72)))
    path = published(
        tmp_path / "0.tar",
        lambda k: [
            ("json", dumps(fields)),
            *([("small.jpg", encoded(shown_again, quality=90))] if k == "000" else []),
        ],
    )
    assert list(scan_shard(path, originals(clean))) == []


@pytest.mark.parametrize("kind", PLANTED)
def test_every_planted_leak_is_found(tmp_path, clean, kind):
    found = list(scan_shard(published(tmp_path / "0.tar", PLANTED[kind]), originals(clean)))
    expected = EXPECTED[kind.split()[0]]
    assert [leak.key.zfill(3) for leak in found if leak.kind == expected] == KEYS
    assert {leak.kind for leak in found} == {expected} | ({"link"} if kind == "hash" else set())


def test_fifty_leaks_are_planted():
    assert sum(len(make(key)) for make in PLANTED.values() for key in KEYS) == 50


def test_a_clean_sample_under_another_key_is_found(tmp_path, clean):
    path = published(tmp_path / "0.tar", lambda k: [])
    with tarfile.open(path, "a") as tar:
        for name, data in (("zzz.jpg", clean_file("002")), ("zzz.txt", CAPTIONS["002"].encode())):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    assert [(leak.key, leak.kind) for leak in scan_shard(path, originals(clean))] == [
        ("zzz", "caption"),
        ("zzz", "unprotected"),
    ]


def test_leaks_in_a_parquet_are_found_at_any_depth(tmp_path, clean):
    published(tmp_path / "0.tar", lambda k: [])
    rows = pa.table({
        "key": [f"./{k}" for k in KEYS],
        "caption": [f"{WORDS} {CAPTIONS[k]}" for k in KEYS],
        "image": [{"bytes": clean_file(k), "path": f"{k}.jpg"} for k in KEYS],
        "raw": pa.array([CAPTIONS[k].encode() for k in KEYS], pa.binary()),
        "more": [[{"text": CAPTIONS[k]}] for k in KEYS],
        "pairs": pa.array([[("alt", CAPTIONS[k])] for k in KEYS], pa.map_(pa.string(), pa.string())),
        "digest": pa.array([digest("sha256", k).digest() for k in KEYS], pa.binary()),
    })  # fmt: skip
    pq.write_table(rows, tmp_path / "0.parquet")
    known = originals(clean)
    assert list(scan_shard(tmp_path / "0.tar", known)) == []
    kinds = [
        (leak.key.removeprefix("./").zfill(3), leak.kind) for leak in scan_parquet(tmp_path / "0.parquet", known)
    ]
    for key in KEYS:
        own = sorted(kind for k, kind in kinds if k == key)
        assert own == ["caption", "caption", "caption", "clean picture", "hash"]
