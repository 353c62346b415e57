from dataclasses import replace

import numpy as np
import pytest

from protect.verify.countermeasures.word_means import estimate, subtract_means, suspects
from protect.verify.reading.pairs import Pairs

COUNT, SIDE, KINDS = 400, 32, 8
DRAW = np.random.default_rng(0)
TILES = DRAW.integers(-1, 2, (KINDS, 4, 4, 3)) * 8
WORDS = [f"zeb{i}ra" for i in range(KINDS)]


def smooth():
    small = DRAW.normal(0, 40, (3, 3, 3))
    return np.kron(small, np.ones((11, 11, 1)))[:SIDE, :SIDE] + DRAW.normal(0, 3, (SIDE, SIDE, 3)) + 128


CLEAN = [smooth() for _ in range(COUNT)]
CHOSEN = DRAW.integers(0, KINDS, COUNT)


def published(tall=0):
    """Each word's tile all over its pictures, repeated beyond the middle square."""
    pictures = []
    for clean, kind in zip(CLEAN, CHOSEN, strict=True):
        noisy = np.pad(clean, ((tall, tall), (0, 0), (0, 0)), mode="edge")
        noisy = noisy + np.tile(TILES[kind], (len(noisy) // 4, SIDE // 4, 1))
        pictures.append(noisy.clip(0, 255).round().astype(np.uint8))
    captions = tuple((f"{WORDS[kind]} a dog and a cat in the field by day",) for kind in CHOSEN)
    return Pairs(tuple(map(str, range(COUNT))), pictures, captions)


def error(pairs, tall=0):
    clean = [np.pad(picture, ((tall, tall), (0, 0), (0, 0)), mode="edge") for picture in CLEAN]
    return np.mean([np.square(a - b).mean() for a, b in zip(pairs.pictures, clean, strict=True)])


@pytest.mark.parametrize("tall", [0, 8])
def test_what_pictures_of_a_word_share_is_taken_out(tall):
    pairs = published(tall)
    assert error(subtract_means(pairs), tall) < 0.35 * error(pairs, tall)


def test_pictures_are_left_alone_when_words_say_nothing():
    pairs = published()
    harmed = subtract_means(replace(pairs, pictures=[p.clip(0, 255).round().astype(np.uint8) for p in CLEAN]))
    assert error(harmed) < 3
    untouched = replace(pairs, captions=(("a dog and a cat in the field by day",),) * COUNT)
    assert all(a is b for a, b in zip(subtract_means(untouched).pictures, untouched.pictures, strict=True))


def test_suspects_are_the_planted_words_of_enough_pictures():
    pairs = published()
    assert suspects(pairs.captions) == [[WORDS[kind]] for kind in CHOSEN]
    rare = (*pairs.captions, *[("rareword a dog and a cat in the field by day",)] * 6)
    assert suspects(rare)[-1] == []


def test_a_pattern_is_estimated():
    pairs = published()
    patterns = estimate(pairs, suspects(pairs.captions))
    whole = np.tile(TILES[0] - TILES[CHOSEN].mean(0), (SIDE // 4, SIDE // 4, 1))
    assert np.corrcoef(patterns.of[WORDS[0]].ravel(), whole.ravel())[0, 1] > 0.9
