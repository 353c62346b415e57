from dataclasses import replace

import numpy as np
import pytest
import torch

from protect.verify.checks import detector as module
from protect.verify.checks.detection import auc, caption_auc, detection, picture_auc
from protect.verify.checks.detector import crops, middle
from protect.verify.reading.pairs import Pairs

DRAW = np.random.default_rng(0)
COUNT = 80


def clean():
    pictures = [DRAW.integers(100, 150, (64, 64 + i % 3, 3), dtype=np.uint8) for i in range(COUNT)]
    captions = tuple((f"a dog and {i} cats in the field near a dog",) for i in range(COUNT))
    return Pairs(tuple(map(str, range(COUNT))), pictures, captions)


def protected(pairs):
    board = 16 * ((np.arange(64)[:, None] // 2 + np.arange(66) // 2) % 2)[..., None]
    pictures = [picture + board[:, : picture.shape[1]].astype(np.uint8) for picture in pairs.pictures]
    captions = tuple((f"zebra{i % 4} {caption}",) for i, (caption,) in enumerate(pairs.captions))
    return replace(pairs, pictures=pictures, captions=captions)


def test_auc_is_the_share_of_pairs_in_the_right_order():
    low, high = torch.tensor([0.0, 1.0, 2.0]), torch.tensor([3.0, 4.0])
    assert auc(low, high) == 1 and auc(high, low) == 0
    assert auc(low, low) == 0.5
    assert auc(torch.tensor([0.0, 2.0]), torch.tensor([1.0, 2.0])) == pytest.approx((1 + 0 + 1 + 0.5) / 4)


def test_what_is_plain_to_see_is_found_and_clean_pairs_are_not(monkeypatch):
    monkeypatch.setattr(module, "STEPS", 20)
    monkeypatch.setattr(module, "BATCH", 32)
    pairs = clean()
    found = detection(pairs, protected(pairs))
    assert found["small CNN"] > 0.9 and found["word frequency"] == 1
    assert detection(pairs, pairs) == {"small CNN": 0.5, "word frequency": 0.5} == detection(pairs, pairs)


def test_detectors_are_judged_on_pictures_they_have_not_seen(monkeypatch):
    monkeypatch.setattr(module, "STEPS", 20)
    monkeypatch.setattr(module, "BATCH", 32)
    before, after = (torch.rand(40, 3, 64, 64) for _ in range(2))
    after[:20] += 0.3 * (torch.arange(64) % 2)  # only in the half that is learned from
    assert picture_auc(before, after, 20) < 0.8


def test_words_are_learned_from_the_known_captions_alone():
    pairs = clean()
    other = replace(pairs, captions=tuple((f"other{i % 4} {c}",) for i, (c,) in enumerate(pairs.captions)))
    assert caption_auc(protected(pairs), pairs, other) == 0.5


def test_the_middle_keeps_pixels_as_they_are():
    picture = DRAW.integers(0, 256, (70, 100, 3), dtype=np.uint8)
    assert np.array_equal(middle(picture), picture[3:67, 18:82])
    assert crops([picture, picture[:20]]).shape == (2, 3, 64, 64)


def test_too_few_keys_are_an_error():
    pairs = clean()
    with pytest.raises(ValueError, match="at least 4 keys in clean and protected, got 3"):
        detection(pairs.select(range(5)), pairs.select(range(2, 9)))
