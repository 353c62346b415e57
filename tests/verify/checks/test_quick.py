import io

import numpy as np
import pytest
from PIL import Image

from protect.verify.checks import detector
from protect.verify.checks.quick import cheap

COUNT, KINDS = 60, 3
DRAW = np.random.default_rng(0)
TILES = DRAW.choice([-8, 8], (KINDS, 4, 4, 3))
WORDS = ("zebra", "lamp", "quick")
PHRASES = ("Zebra light, calm.", "Lamp at night, calm.", "Quick, calm.")  # of unequal numbers of words


def file(pixels):
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    return data.getvalue()


def scene():
    small = Image.fromarray(DRAW.integers(40, 216, (4, 4, 3), dtype=np.uint8))
    return np.asarray(small.resize((64, 64), Image.Resampling.BICUBIC)).astype(int) + DRAW.integers(
        -4, 5, (64, 64, 3)
    )


SCENES = [scene() for _ in range(COUNT)]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(detector, "STEPS", 15)
    monkeypatch.setattr(detector, "BATCH", 32)


def written(folder, make_shard, change=0, words=("",) * KINDS):
    folder.mkdir()
    samples = {}
    for i, pixels in enumerate(SCENES):
        noisy = pixels + change * np.tile(TILES[i % KINDS], (16, 16, 1))
        caption = f"{words[i % KINDS]} a dog near {i} cats in the field of a dog".strip()
        samples[f"{i:04}"] = {"png": file(noisy.clip(0, 255).astype(np.uint8)), "txt": caption}
    make_shard(folder / "0.tar", samples)
    return str(folder)


@pytest.mark.parametrize("words", [WORDS, PHRASES])
def test_words_and_patterns_are_seen(make_shard, tmp_path, words):
    clean = written(tmp_path / "clean", make_shard)
    found = cheap(clean, written(tmp_path / "out", make_shard, 1, words), size=64)
    assert found.leaks == () and found.words_survive == {"CLIP": 1.0}
    assert found.linf == 8 and 29 < found.psnr < 31 and 0 < found.ssim < 1
    assert found.reencode_psnr is None
    assert found.probe > 0.9 and found.probe_clean < 0.7
    assert found.detection["word frequency"] == 1
    assert found.notes == ("Checks without training looked at 60 pairs and measured 60 pictures.",)


def test_clean_files_passed_off_as_protected_are_seen_through(make_shard, tmp_path):
    clean = written(tmp_path / "clean", make_shard)
    found = cheap(clean, clean, size=64)
    assert found.words_survive == {} and found.probe is None and found.linf == 0 and found.ssim == 1
    assert found.detection == {"small CNN": 0.5, "word frequency": 0.5}
    assert "60 of 60 pictures are the clean ones, pixel by pixel." in found.notes
    assert any("Captions are unchanged" in note for note in found.notes)


def test_the_limit_keeps_it_short(make_shard, tmp_path):
    clean = written(tmp_path / "clean", make_shard)
    found = cheap(clean, written(tmp_path / "out", make_shard, 1, WORDS), size=64, limit=20)
    assert found.notes[0].startswith("Checks without training looked at 20 pairs")


def test_a_clean_caption_beside_one_that_was_changed_inside_is_a_leak(make_shard, tmp_path):
    clean = written(tmp_path / "clean", make_shard)
    (tmp_path / "out").mkdir()
    captions = [(f"a dog near {i} cats in the field of a dog", f"a hound near {i} cats") for i in range(COUNT)]
    make_shard(
        tmp_path / "out" / "0.tar",
        {
            f"{i:04}": {
                "png": file(SCENES[i].clip(0, 255).astype(np.uint8)),
                "txt": after,
                "json": {"caption": before},
            }
            for i, (before, after) in enumerate(captions)
        },
    )
    found = cheap(clean, str(tmp_path / "out"), size=64)
    assert any(leak.startswith("caption: ") for leak in found.leaks)
    assert any("No planted words" in note for note in found.notes)
