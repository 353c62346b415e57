"""Caption regression: attackers estimate the pattern of every common caption word, and subtract it.

The patterns of all words are estimated together, by ridge regression on which words a picture's captions have, so
that what words share that come together is not counted twice; what all pictures have in common is one more pattern.
What pictures of a word have in common by nature is mostly coarse (colours, places), so only fine detail is
subtracted: that which a picture's caption predicts.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median_low

import numpy as np

from protect.verify.countermeasures.base import Captions, Changed, Countermeasure, Kind
from protect.verify.countermeasures.text import fold_word
from protect.verify.countermeasures.word_means import DOUBT, FEWEST, LARGEST, Patterns, shrunk, spectrum, squares
from protect.verify.reading.pairs import Pairs

MOST_WORDS = 512
MOST_VALUES = 1 << 25  # in all patterns together
RIDGE = 4.0  # pictures
EVERY = ""  # stands for what all pictures share
COARSEST = 1 / 16  # cycles a pixel; what changes more slowly is left alone


@dataclass
class Sums:
    """What one pass over the pictures adds up: by word, over all, the energy of every frequency, words together."""

    words: np.ndarray
    whole: np.ndarray
    power: np.ndarray
    together: np.ndarray


def subtract_predicted(pairs: Pairs) -> Pairs:
    """The pairs with what all pictures, and those of each common word, share in fine detail taken out of them."""
    side = min(LARGEST, median_low(min(picture.shape[:2]) for picture in pairs.pictures))
    words = common_words(pairs.captions, min(MOST_WORDS, MOST_VALUES // (3 * side**2)))
    patterns = estimate_together(pairs, words, side)
    known = [[EVERY, *own] for own in words]
    return replace(pairs, pictures=Changed(len(pairs), lambda i: patterns.remove(pairs.pictures[i], known[i])))


def common_words(captions: Sequence[Captions], most: int) -> list[list[str]]:
    """The words of each picture's captions, sorted: those that enough pictures have and enough lack."""
    words_of = [{fold_word(word) for caption in lines for word in caption.split()} - {""} for lines in captions]
    count = Counter(word for words in words_of for word in words)
    usable = [word for word, n in sorted(count.items()) if FEWEST <= n <= len(captions) - FEWEST]
    known = set(sorted(usable, key=lambda word: -min(count[word], len(captions) - count[word]))[:most])
    return [sorted(words & known) for words in words_of]


def estimate_together(pairs: Pairs, words: Sequence[Sequence[str]], side: int) -> Patterns:
    """A pattern for each word and one for EVERY; what is coarse, or what chance explains, is shrunk to nothing."""
    names = sorted({word for own in words for word in own})
    sums, count = _add_up(pairs, words, names, side), len(pairs)
    times, mean = np.diag(sums.together), sums.whole / count
    covariance = sums.together - np.outer(times, times) / count
    inverse = np.linalg.inv(covariance + RIDGE * np.eye(len(names)))
    doubt = np.diag(inverse @ covariance @ inverse)
    spread = np.maximum(sums.power / count - np.abs(spectrum(mean)) ** 2, 1e-9)
    own = sums.words - times[:, None].astype(np.float32) * mean.ravel().astype(np.float32)
    raw = (inverse.astype(np.float32) @ own).reshape(len(names), side, side, 3)
    fine, patterns = _fine(side), dict[str, np.ndarray]()
    for name, pattern, variance, share in zip(names, raw, doubt, times / count, strict=True):
        patterns[name] = shrunk(pattern, DOUBT * spread * variance, fine)
        mean = mean - share * patterns[name]
    patterns[EVERY] = shrunk(mean, DOUBT * spread / count, fine)
    return Patterns(side, patterns)


def _add_up(pairs: Pairs, words: Sequence[Sequence[str]], names: Sequence[str], side: int) -> Sums:
    place = {name: i for i, name in enumerate(names)}
    values = (np.zeros((len(names), 3 * side**2), np.float32), np.zeros((side, side, 3)))
    sums = Sums(*values, np.zeros((side, side // 2 + 1, 3)), np.zeros((len(names), len(names))))
    for square, own in zip(squares(pairs, side), words, strict=True):
        rows = [place[word] for word in own]
        sums.words[rows] += square.ravel()
        sums.whole += square
        sums.power += np.abs(spectrum(square)) ** 2
        sums.together[np.ix_(rows, rows)] += 1
    return sums


def _fine(side: int) -> np.ndarray:
    """1 for frequencies of fine detail, else 0; shaped to go with a spectrum."""
    down, right = np.fft.fftfreq(side), np.fft.rfftfreq(side)
    return (np.hypot(down[:, None], right[None]) >= COARSEST)[..., None].astype(np.float64)


ROWS = (
    Countermeasure(
        "caption-regression",
        Kind.ADAPTIVE,
        "the fine detail that a picture's caption words predict, by ridge regression over all pictures, subtracted",
        "subtracts the detail that captions predict",
        pairs=subtract_predicted,
        strong=True,
    ),
)
