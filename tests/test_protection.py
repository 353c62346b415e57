"""Protection protects: an attacker learns clearly less from the files that are written than from the clean ones."""

import io
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from protect.clip.retrieval import chance
from protect.settings.verify import VerifySettings
from protect.verify.attackers.train import train
from protect.verify.reading.pairs import read_judged, read_pairs
from protect.verify.records import RECALL, judged_by

SIDE, TRAINED, TESTED = 32, 480, 150
SETTINGS = VerifySettings(("tiny-resnet",), epochs=8, batch=32, size=SIDE, device="cpu")
FADE = 0.3  # of the colours: with it a network takes some epochs to tell them apart
COLOURS = {
    "red": (200, 40, 40),
    "green": (40, 160, 60),
    "blue": (50, 70, 200),
    "yellow": (220, 200, 60),
    "white": (225, 225, 225),
    "black": (35, 35, 35),
}
CORNERS = {"top left": (0, 0), "top right": (0, 1), "bottom left": (1, 0), "bottom right": (1, 1)}


def pair(random: random.Random) -> dict[str, bytes | str]:
    """A picture of four faded patches under a tint, and a caption that names the colour in each corner."""
    half, said = SIDE // 2, []
    pixels = np.empty((SIDE, SIDE, 3))
    for corner, (down, right) in CORNERS.items():
        name = random.choice(sorted(COLOURS))
        patch = np.s_[down * half : (down + 1) * half, right * half : (right + 1) * half]
        pixels[patch] = 128 + FADE * (np.array(COLOURS[name]) - 128)
        said.append(f"{name} {corner}")
    grain = np.random.default_rng(random.getrandbits(64)).normal(0, 12, pixels.shape)
    tint = [random.gauss(0, 15) for _ in range(3)]
    file = io.BytesIO()
    Image.fromarray((pixels + grain + tint).clip(0, 255).astype(np.uint8)).save(file, "PNG")
    random.shuffle(said)
    return {"png": file.getvalue(), "txt": ", ".join(said)}


@pytest.fixture
def shards(tmp_path, make_shard) -> tuple[Path, Path]:
    """Folders with pairs to train on and pairs to test on."""
    for name, count in (("train", TRAINED), ("test", TESTED)):
        (tmp_path / name).mkdir()
        draw = random.Random(name)
        make_shard(tmp_path / name / "00000.tar", {f"{number:09}": pair(draw) for number in range(count)})
    return tmp_path / "train", tmp_path / "test"


def gain(trained: Path, test: Path) -> float:
    """R@10 above chance at an attacker's best epoch."""
    judged = read_judged([str(test)], SIDE)
    results = train(read_pairs([str(trained)], SIDE), judged, "tiny-resnet", SETTINGS, seed=0)
    return max(result.score for result in results) - judged_by(chance([1] * len(judged)), RECALL)


def test_an_attacker_learns_clearly_less_from_protected_files(shards, command, tmp_path):
    clean, test = shards
    done = command("shards", clean, tmp_path / "protected", "--seed", 5, "--quiet")
    assert done.code == 0, done.err
    taught, still_taught = gain(clean, test), gain(tmp_path / "protected", test)
    assert taught > 0.5, f"the clean files teach too little to tell: {taught:.2f}"
    assert still_taught < 0.65 * taught, f"retained gain: {still_taught / taught:.2f}"
