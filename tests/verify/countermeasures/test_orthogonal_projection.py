"""What a linear model sees of captions is removed from pictures, and little else."""

import numpy as np
import torch

from protect.verify.countermeasures import COUNTERMEASURES
from protect.verify.countermeasures.orthogonal_projection import MOST_WORDS, directions
from protect.verify.reading.pairs import Pairs

COUNT, SIDE = 400, 32
WORDS = ("dog", "cat", "boat", "tree")
PROJECT = COUNTERMEASURES["oproj"].pairs
RANDOM = np.random.default_rng(0)
NOISE = {word: RANDOM.choice([-6, 6], (SIDE, SIDE, 3)) for word in WORDS}


def pairs(noise, count=COUNT):
    """Random coarse scenes; with noise, each word has a pattern of its own."""
    random = np.random.default_rng(1)
    words = [WORDS[i] for i in random.integers(0, len(WORDS), count)]
    pictures = []
    for word in words:
        scene = 128 + np.kron(random.normal(0, 30, (8, 8, 3)), np.ones((4, 4, 1)))
        pictures.append((scene + noise * NOISE[word]).clip(0, 255).round().astype(np.uint8))
    captions = tuple((f"A {word} outside, picture {i}.",) for i, word in enumerate(words))
    return Pairs(tuple(map(str, range(count))), pictures, captions), words


def linear_accuracy(published, words):
    """Of a least-squares classifier from pixels to words, fitted on one half and asked on the other."""
    pixels = np.stack(list(published.pictures)).reshape(len(words), -1).astype(float) - 128
    labels = np.array([WORDS.index(word) for word in words])
    half = len(words) // 2
    known, targets = pixels[:half], np.eye(len(WORDS))[labels[:half]] - 1 / len(WORDS)
    weights = known.T @ np.linalg.solve(known @ known.T + 1e4 * np.eye(half), targets)
    return (np.argmax(pixels[half:] @ weights, 1) == labels[half:]).mean()


def test_a_linear_model_no_longer_reads_words_off_the_pictures():
    published, words = pairs(noise=1)
    assert linear_accuracy(published, words) > 0.95
    assert linear_accuracy(PROJECT(published), words) < 0.5


def test_the_noise_of_words_goes():
    published, words = pairs(noise=1)
    clean, _ = pairs(noise=0)
    after = PROJECT(published)
    patterns = [np.mean([np.subtract(p, c, dtype=float)[..., 0] * NOISE[w][..., 0] for p, c, w in zip(
        one.pictures, clean.pictures, words, strict=True)]) for one in (published, after)]  # fmt: skip
    assert patterns[1] < 0.4 * patterns[0]


def test_clean_pictures_keep_nearly_all_they_show():
    clean, _ = pairs(noise=0)
    after = PROJECT(clean)
    whole = np.mean([np.square(picture - 128.0).mean() for picture in clean.pictures])
    lost = [
        np.square(np.subtract(a, b, dtype=float)).mean() for a, b in zip(after.pictures, clean.pictures, strict=True)
    ]
    assert np.mean(lost) < 0.1 * whole and after.captions == clean.captions and after.keys == clean.keys


def test_directions_are_orthonormal_and_bounded():
    published, words = pairs(noise=1, count=40)
    mean, basis = directions(published, [[word] for word in words], SIDE)
    assert mean.shape == (3 * SIDE**2,) and basis.shape == (3 * SIDE**2, len(WORDS))
    assert torch.allclose(basis.T @ basis, torch.eye(len(WORDS)), atol=1e-4) and len(WORDS) < MOST_WORDS


def test_without_common_words_nothing_is_removed():
    published, _ = pairs(noise=1, count=6)
    assert all(map(np.array_equal, PROJECT(published).pictures, published.pictures))
