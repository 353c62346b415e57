"""Two folders of photos whose captions stand in EXIF, as a user has them: protected, then verified."""

import numpy as np
import pytest
from PIL import Image

from protect.verify import comparison
from protect.verify.records import Cheap, EpochResult
from protect.verify.runs import schedule as trainings

WORDS = tuple("abcdefghijklmnop")  # of captions
IMAGE_DESCRIPTION = 0x010E
CHECKED = Cheap((), {}, 8.0, 30.0, 0.9, None, None, 0.5, {})


@pytest.fixture
def photos(command, tmp_path):
    """A folder of 16 photos, one of them in a folder inside, and their protected copies."""
    random, folder = np.random.default_rng(0), tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    for number in range(16):
        coarse = Image.fromarray(random.integers(0, 256, (6, 6, 3), np.uint8))
        exif = Image.Exif()
        exif[IMAGE_DESCRIPTION] = " ".join(random.permutation(WORDS)[:6])
        place = folder / "sub" if number == 0 else folder
        coarse.resize((96, 80)).save(place / f"IMG_{number:04}.jpg", quality=92, exif=exif)
    ran = command("photos", folder, tmp_path / "out", "-q")
    assert ran.code == 0, ran.err
    return folder, tmp_path / "out"


def test_verify_pairs_them_by_path_and_reads_their_captions(photos, command, monkeypatch):
    ran = command("verify", *photos, "--cheap")
    assert ran.code == 0, ran.err
    assert "looked at 16 pairs and measured 16 pictures" in ran.out and "trigger words whole, CLIP" in ran.out

    def fake(pairs, *_, **__):
        seen[len(seen)] = pairs
        ways = [f"{way}_retrieval" for way in ("text", "image")]
        names = {"recall@1": 0.5, "recall@5": 0.5, "recall@10": 0.5, "median_rank": 1.0, "mean_percentile_rank": 0.5}
        metrics = {f"{way}_{name}": value for way in ways for name, value in names.items()}
        return iter([EpochResult(number, 1.0, metrics, 1.0) for number in range(2)])

    seen = {}
    monkeypatch.setattr(trainings, "train", fake)
    monkeypatch.setattr(comparison, "cheap", lambda *_: CHECKED)
    fast = ("--attackers", "tiny-resnet", "--epochs", "1", "--batch", "2", "--size", "32", "--jobs", "1")
    ran = command("verify", *photos, *fast, "--countermeasures", "none", "--mix", "1", "--device", "cpu")
    assert ran.code == 0, ran.err
    clean, published = seen[0], seen[3]
    assert clean.keys == published.keys and len(clean) > 10
    for before, after in zip(clean.captions, published.captions, strict=True):
        assert set(before[0].split()) < set(after[0].split())
