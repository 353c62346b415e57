"""The sample set: rendered scenes are repeatable and say what they show; photos have captions and licences."""

import csv
import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SAMPLES = Path(__file__).parents[2] / "samples"
PHOTOS = SAMPLES / "photos"
PAIRS = 12
PER_SHARD = 5


def make(out: Path, seed: int, *options: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(SAMPLES / "make_samples.py"), str(out), "--pairs", str(PAIRS)]
    command += ["--seed", str(seed), "--per-shard", str(PER_SHARD), *options]
    return subprocess.run(command, capture_output=True, text=True)


def read(folder: Path) -> dict[str, dict[str, bytes]]:
    """Members by key and extension, in tar order."""
    pairs: dict[str, dict[str, bytes]] = {}
    for shard in sorted(folder.glob("*.tar")):
        with tarfile.open(shard) as tar:
            for entry in tar:
                key, extension = entry.name.split(".")
                pairs.setdefault(key, {})[extension] = tar.extractfile(entry).read()
    return pairs


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("samples") / "shards"
    answer = make(out, 3)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout == f"12 pairs in 3 shards in {out}\n"
    return out


def test_shards_have_the_layout_of_img2dataset(made):
    pairs = read(made)
    assert [path.name for path in sorted(made.iterdir())] == ["00000.tar", "00001.tar", "00002.tar"]
    assert list(pairs) == [f"{number // PER_SHARD:05d}{number % PER_SHARD:04d}" for number in range(PAIRS)]
    for key, members in pairs.items():
        assert list(members) == ["jpg", "json", "txt"]
        fields = json.loads(members["json"])
        assert fields["key"] == key
        assert fields["status"] == "success"
        assert fields["url"] is None
        assert fields["caption"] == fields["captions"][0] == members["txt"].decode()
    with tarfile.open(made / "00000.tar") as tar:
        assert all(entry.mtime == entry.uid == entry.gid == 0 for entry in tar)


def test_images_decode_at_the_stated_size_and_sampling(made):
    for members in read(made).values():
        image = Image.open(io.BytesIO(members["jpg"]))
        fields = json.loads(members["json"])
        image.load()
        assert (image.format, image.mode) == ("JPEG", "RGB")
        assert image.size == (fields["width"], fields["height"]) == (64, 64)
        assert {(h, v) for _, h, v, _ in image.layer} == {(1, 1)}  # 4:4:4


def test_same_seed_same_bytes_other_seed_other_scenes(made, tmp_path):
    make(tmp_path / "again", 3)
    make(tmp_path / "other", 4)
    for shard in made.iterdir():
        assert (tmp_path / "again" / shard.name).read_bytes() == shard.read_bytes()
    captions = {members["txt"] for members in read(made).values()}
    assert not captions & {members["txt"] for members in read(tmp_path / "other").values()}
    assert len(captions) == PAIRS


def test_both_captions_name_every_shape_with_its_corner(made):
    for members in read(made).values():
        fields = json.loads(members["json"])
        patches = fields["scene"]["patches"]
        assert [patch["corner"] for patch in patches] == ["top left", "top right", "bottom left", "bottom right"]
        assert len({patch["shape"] for patch in patches}) == 4
        assert len(set(fields["captions"])) == 2
        for caption in fields["captions"]:
            parts = caption.split(", ")
            assert len(parts) == 4
            for patch in patches:
                (part,) = [part for part in parts if patch["corner"] in part]
                article = "an" if patch["shape"] == "arrow" else "a"
                assert f"{article} {patch['shape']}" in part


def test_captions_keep_colours_to_themselves(made):
    for members in read(made).values():
        scene = json.loads(members["json"])["scene"]
        said = set(members["txt"].decode().replace(",", "").replace(":", "").split())
        for patch in scene["patches"]:
            assert patch["color"] != patch["ground"]
            assert not said & {patch["color"], patch["ground"], patch["pattern"]}


def test_a_shape_is_drawn_in_its_colour_in_its_corner(made):
    colors = {"red": (210, 35, 40), "green": (45, 150, 60), "blue": (35, 80, 205), "white": (245, 245, 240)}
    seen = 0
    for members in read(made).values():
        pixels = np.asarray(Image.open(io.BytesIO(members["jpg"])), dtype=float)
        for patch in json.loads(members["json"])["scene"]["patches"]:
            if patch["shape"] in ("circle", "square", "diamond", "heart", "cross") and patch["color"] in colors:
                y, x = (48 if "bottom" in patch["corner"] else 16), (48 if "right" in patch["corner"] else 16)
                middle = pixels[y - 1 : y + 2, x - 1 : x + 2].mean((0, 1))
                named = np.array(colors[patch["color"]])
                faded = named.mean() + 0.35 * (named - named.mean())
                assert np.abs(middle - faded).max() < 25
                seen += 1
    assert seen


def test_size_option_and_refusals(tmp_path):
    assert make(tmp_path / "big", 0, "--size", "96").returncode == 0
    assert Image.open(io.BytesIO(read(tmp_path / "big")["000000000"]["jpg"])).size == (96, 96)
    again = make(tmp_path / "big", 0)
    assert again.returncode == 1
    assert "expected a new or empty folder, found files in it" in again.stderr
    small = make(tmp_path / "small", 0, "--size", "4")
    assert small.returncode == 1
    assert "expected pairs of 1 or more, size of 16 or more" in small.stderr


def test_photos_decode_and_have_captions_and_licences():
    with (PHOTOS / "captions.csv").open(newline="") as file:
        captions = {row["file"]: row["caption"] for row in csv.DictReader(file)}
    licences = (PHOTOS / "LICENSES.md").read_text()
    photos = {path.name for path in PHOTOS.glob("*.jpg")}
    assert len(photos) >= 6
    assert photos == set(captions)
    for name in photos:
        with Image.open(PHOTOS / name) as photo:
            photo.load()
            assert max(photo.size) == 400
        assert len(captions[name].split()) > 3
        row = next(line for line in licences.splitlines() if line.startswith(f"| {name} |"))
        assert "CC0" in row or "public domain" in row


def test_samples_stay_small():
    files = [path for path in SAMPLES.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert sum(path.stat().st_size for path in files) < 2_000_000
