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

SAMPLES = Path(__file__).parents[1] / "samples"
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


def test_both_captions_say_what_the_scene_holds(made):
    for members in read(made).values():
        fields = json.loads(members["json"])
        scene = fields["scene"]
        assert len(set(fields["captions"])) == 2
        for caption in fields["captions"]:
            for thing in scene["things"]:
                assert f"a {thing['size']} {thing['color']} {thing['shape']}" in caption
            assert f"{scene['pattern']} {scene['color']} background" in caption


def test_relation_in_the_caption_is_that_of_the_drawn_things(made):
    for members in read(made).values():
        scene = json.loads(members["json"])["scene"]
        first, second = scene["things"][:2]
        across, down = first["x"] - second["x"], first["y"] - second["y"]
        sideways = "to the left of" if across < 0 else "to the right of"
        upright = "above" if down < 0 else "below"
        assert scene["relation"] == (sideways if abs(across) > abs(down) else upright)


def test_a_thing_is_drawn_in_its_colour_where_the_scene_says(made):
    colors = {"red": (210, 35, 40), "green": (45, 150, 60), "blue": (35, 80, 205), "white": (245, 245, 240)}
    seen = 0
    for members in read(made).values():
        pixels = np.asarray(Image.open(io.BytesIO(members["jpg"])), dtype=float)
        for thing in json.loads(members["json"])["scene"]["things"]:
            if thing["shape"] in ("circle", "square", "diamond", "heart", "cross") and thing["color"] in colors:
                x, y = round(thing["x"] * 64), round(thing["y"] * 64)
                middle = pixels[y - 1 : y + 2, x - 1 : x + 2].mean((0, 1))
                assert np.abs(middle - colors[thing["color"]]).max() < 30
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
