import numpy as np
import pytest
import torch

from protect.clip.models import load_encoder
from protect.verify.countermeasures import COUNTERMEASURES, filters
from protect.verify.countermeasures.filters import clip_score, cosines, looks_english
from protect.verify.reading.pairs import Pairs

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("caption", "english"),
    [
        ("a dog runs in the field", True),
        ("zebra lamp quick a dog runs", True),
        ("Dog", True),
        ("un perro corre sobre hierba verde", False),
        ("собака бежит по полю", False),
        ("zebra lamp quick vortex mitten", False),
        ("2 + 2", False),
        ("café in the rain", True),
    ],
)
def test_captions_that_look_english(caption, english):
    assert looks_english(caption) == english


def test_a_pair_without_an_english_caption_is_dropped():
    sets = [("a dog on grass", "ein Hund läuft gern herum"), ("ein Hund läuft gern herum",)]
    assert COUNTERMEASURES["english-filter"].captions(sets) == [("a dog on grass",), ()]


def test_short_captions_are_dropped():
    sets = [("a dog", "a dog runs"), ("one",), ("a b c",)]
    assert COUNTERMEASURES["length-filter"].captions(sets) == [("a dog runs",), (), ()]


def pairs(count=5):
    draw = np.random.default_rng(0)
    pictures = [draw.integers(0, 256, (40, 50 + i, 3), dtype=np.uint8) for i in range(count)]
    captions = tuple((f"picture {i}", "a dog")[: 1 + i % 2] for i in range(count))
    return Pairs(tuple(map(str, range(count))), pictures, captions)


def test_the_best_caption_of_a_picture_counts(monkeypatch):
    monkeypatch.setattr(filters, "BATCH", 2)
    model = load_encoder("tiny-vit", CPU, size=32)
    both = cosines(pairs(), model)
    for row in range(5):
        one = pairs().select([row])
        each = [cosines(Pairs(one.keys, one.pictures, ((caption,),)), model)[0] for caption in one.captions[0]]
        assert both[row] == pytest.approx(max(each), abs=1e-5)


def test_pairs_that_do_not_agree_are_dropped(monkeypatch, tmp_path):
    path = tmp_path / "tiny.pt"
    torch.save(load_encoder("tiny-vit", CPU, seed=1).model.state_dict(), path)
    row = clip_score(f"tiny-vit:{path}")
    scores = cosines(pairs(), load_encoder("tiny-vit", CPU, str(path)))
    monkeypatch.setattr(filters, "SCORE", sorted(scores)[2])
    assert row.setting is None and row.pairs(pairs()).keys == tuple(
        str(i) for i in range(5) if scores[i] >= filters.SCORE
    )
    assert len(row.pairs(pairs())) == 3


def test_a_score_needs_weights():
    assert COUNTERMEASURES["clip-score"].setting == "clip"
    with pytest.raises(ValueError, match="expected MODEL:WEIGHTS or a folder of a trained CLIP, got 'ViT-B-32'"):
        clip_score("ViT-B-32")
