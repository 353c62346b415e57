"""What pictures of any caption word share is found and taken out, and nothing where they share nothing."""

from dataclasses import replace

import numpy as np

from protect.verify.countermeasures import COUNTERMEASURES
from protect.verify.countermeasures.caption_regression import common_words, estimate_together
from protect.verify.countermeasures.word_means import suspects
from protect.verify.reading.pairs import Pairs

COUNT, SIDE = 600, 32
DRAW = np.random.default_rng(0)
NOUNS = ("dog", "cat", "horse", "bird", "boat", "tree")
PLACES = ("field", "street", "kitchen", "harbour")
TILES = {word: DRAW.choice([-5, 5], (8, 8, 3)) for word in NOUNS + PLACES}
CHOSEN = [(NOUNS[n % 6], PLACES[int(DRAW.integers(0, 4)) if n % 3 else n % 6 // 2]) for n in range(COUNT)]
COLOURS = {word: DRAW.normal(0, 15, 3) for word in NOUNS}
SUBTRACT = COUNTERMEASURES["caption-regression"].pairs


def scene(noun):
    """Coarse colours, some of them the noun's own, and a little grain."""
    small = DRAW.normal(0, 30, (4, 4, 3)) + COLOURS[noun]
    return np.kron(small, np.ones((8, 8, 1))) + DRAW.normal(0, 4, (SIDE, SIDE, 3)) + 128


CLEAN = [scene(noun) for noun, _ in CHOSEN]
CAPTIONS = tuple((f"A {noun} in the {place}.",) for noun, place in CHOSEN)


def pairs(noise):
    """Captions as they were; both words' tiles all over the picture, if there is noise."""
    pictures = []
    for clean, words in zip(CLEAN, CHOSEN, strict=True):
        change = sum(np.tile(TILES[word], (SIDE // 8, SIDE // 8, 1)) for word in words)
        pictures.append((clean + noise * change).clip(0, 255).round().astype(np.uint8))
    return Pairs(tuple(map(str, range(COUNT))), pictures, CAPTIONS)


def error(found):
    return np.mean([np.square(a - b).mean() for a, b in zip(found.pictures, CLEAN, strict=True)])


def test_textures_of_ordinary_caption_words_are_taken_out():
    published = pairs(1)
    assert error(SUBTRACT(published)) < 0.1 * error(published)


def test_no_word_needs_to_look_planted():
    assert not any(suspects(CAPTIONS))


def test_clean_pictures_stay_nearly_what_they_are():
    assert error(SUBTRACT(pairs(0))) < 3


def test_words_that_come_together_share_no_pattern():
    published = pairs(1)
    patterns = estimate_together(published, common_words(CAPTIONS, 99), SIDE)
    for word in ("dog", "field"):
        whole = np.tile(TILES[word] - TILES[word].mean((0, 1)), (SIDE // 8, SIDE // 8, 1))
        assert np.corrcoef(patterns.of[word].ravel(), whole.ravel())[0, 1] > 0.8


def test_words_of_few_pictures_and_of_all_have_no_pattern():
    rare = (*CAPTIONS[:-7], *[(f"A zebra in the {place}.",) for _, place in CHOSEN[-7:]])
    found = {word for words in common_words(rare, 99) for word in words}
    assert found == {*NOUNS, *PLACES}
    assert len({word for words in common_words(CAPTIONS, 3) for word in words}) == 3


def test_what_all_pictures_share_goes_too():
    published = replace(pairs(1), captions=(("a picture",),) * COUNT)
    shared = np.mean([np.asarray(p, float) - c for p, c in zip(published.pictures, CLEAN, strict=True)], axis=0)
    fine = shared - shared.mean((0, 1))
    assert error(SUBTRACT(published)) < error(published) - 0.8 * np.square(fine).mean()
