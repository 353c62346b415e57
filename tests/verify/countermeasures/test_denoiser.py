from dataclasses import replace

import numpy as np
import pytest

from protect.verify.countermeasures import denoiser
from protect.verify.countermeasures.denoiser import denoise, denoised, known_pairs
from protect.verify.reading.pairs import Pairs

DRAW = np.random.default_rng(0)
SHAPES = [(24, 40), (36, 20), (32, 32)]


def clean(count=60):
    pictures = []
    for i in range(count):
        height, width = SHAPES[i % 3]
        ramp = np.add.outer(np.arange(height) * DRAW.uniform(-2, 2), np.arange(width) * DRAW.uniform(-2, 2))
        pictures.append((128 + ramp[..., None] * [1, 0.5, -1]).clip(0, 255).astype(np.uint8))
    return Pairs(tuple(map(str, range(count))), pictures, (("a",),) * count)


def noisy(pairs):
    signs = [DRAW.choice([-8, 8], picture.shape) for picture in pairs.pictures]
    both = zip(pairs.pictures, signs, strict=True)
    return replace(pairs, pictures=[(picture + sign).clip(0, 255).astype(np.uint8) for picture, sign in both])


def error(a, b):
    both = zip(a.pictures, b.pictures, strict=True)
    return np.mean([np.square(x.astype(int) - y).mean() for x, y in both])


def test_it_learns_to_undo_the_noise(monkeypatch):
    monkeypatch.setattr(denoiser, "STEPS", 40)
    monkeypatch.setattr(denoiser, "CROP", 20)
    originals = clean()
    published = noisy(originals)
    found = denoise(originals).pairs(published)
    assert found.keys == published.keys and [p.shape for p in found.pictures] == [p.shape for p in published.pictures]
    assert error(found, originals) < 0.5 * error(published, originals)


def test_the_same_pairs_give_the_same_network(monkeypatch):
    monkeypatch.setattr(denoiser, "STEPS", 2)
    originals = clean(20)
    published = noisy(originals)
    first, again = (denoised(published, originals).pictures for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_the_attacker_holds_a_fifth_of_the_originals():
    originals = clean(100)
    assert len(list(known_pairs(originals, originals))) == 20
    assert len(list(known_pairs(originals.select(range(20)), originals))) == 16


def test_too_few_originals_are_an_error():
    originals = clean(40)
    other = replace(originals, keys=tuple(f"x{key}" for key in originals.keys))
    with pytest.raises(ValueError, match="at least 16 pictures with a clean original of their size, got 0"):
        denoised(originals, other)
    turned = replace(originals, pictures=[p[:-1] for p in originals.pictures])
    with pytest.raises(ValueError, match="got 0"):
        denoised(originals, turned)
