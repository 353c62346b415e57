"""Word-mean subtraction, for attackers who know the tool but not the key.

Pictures that share a planted word may share a pattern. It is estimated as their mean less the mean of all pictures,
and subtracted.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median_low

import numpy as np
from PIL import Image

from protect.verify.countermeasures.base import Changed, Countermeasure, Kind
from protect.verify.countermeasures.prefix_dedup import find_planted
from protect.verify.countermeasures.text import fold_word
from protect.verify.reading.pairs import Pairs, centre

TIMES = 3.0  # suspicion is cheap here: a word without a pattern of its own has nothing subtracted
FEWEST = 8  # pictures that must share a word
LARGEST = 256  # side of the estimates, in pixels
DOUBT = 4.0  # variances of its mean that a frequency's estimate must exceed to be believed


@dataclass(frozen=True)
class Patterns:
    """The estimate of each word's pattern, S x S x 3 in 255ths."""

    side: int
    of: dict[str, np.ndarray]

    def remove(self, picture: np.ndarray, words: Sequence[str]) -> np.ndarray:
        """The picture less the patterns of its words: on its middle square, and repeated beyond that."""
        known = [self.of[word] for word in words if word in self.of]
        if not known:
            return picture
        return subtracted(picture, np.sum(known, axis=0))


def subtracted(picture: np.ndarray, change: np.ndarray) -> np.ndarray:
    """The picture less a square change, enlarged to its middle square and repeated beyond that."""
    height, width = picture.shape[:2]
    change = _resized(change, min(height, width))
    rows, columns = ((np.arange(n) - round((n - len(change)) / 2)) % len(change) for n in (height, width))
    return (picture - change[np.ix_(rows, columns)]).clip(0, 255).round().astype(np.uint8)


def subtract_means(pairs: Pairs) -> Pairs:
    """The pairs with what the pictures of each planted-looking word have in common taken out of them."""
    words = suspects(pairs.captions)
    patterns = estimate(pairs, words)
    return replace(pairs, pictures=Changed(len(pairs), lambda i: patterns.remove(pairs.pictures[i], words[i])))


def suspects(captions: Sequence[tuple[str, ...]]) -> list[list[str]]:
    """The planted-looking words in each picture's captions that enough pictures share, sorted."""
    planted = find_planted(captions, TIMES).words
    words_of = [{fold_word(word) for caption in lines for word in caption.split()} & planted for lines in captions]
    count = Counter(word for words in words_of for word in words)
    return [sorted(word for word in words if count[word] >= FEWEST) for words in words_of]


def estimate(pairs: Pairs, words: Sequence[Sequence[str]]) -> Patterns:
    """Mean picture of each word less the mean of all; frequencies that chance explains are shrunk to nothing."""
    side = min(LARGEST, median_low(min(picture.shape[:2]) for picture in pairs.pictures))
    count, total = 0, np.zeros((side, side, 3))
    power = np.zeros((side, side // 2 + 1, 3))
    sums: dict[str, np.ndarray] = defaultdict(lambda: np.zeros((side, side, 3)))
    times: Counter[str] = Counter()
    for square, own in zip(squares(pairs, side), words, strict=True):
        count += 1
        total += square
        power += np.abs(spectrum(square)) ** 2
        for word in own:
            sums[word] += square
            times[word] += 1
    mean = total / count
    spread = np.maximum(power / count - np.abs(spectrum(mean)) ** 2, 1e-9)
    patterns = {word: shrunk(sums[word] / times[word] - mean, DOUBT * (spread / times[word])) for word in sums}
    return Patterns(side, patterns)


def squares(pairs: Pairs, side: int) -> Iterator[np.ndarray]:
    for picture in pairs.pictures:
        yield np.asarray(centre(Image.fromarray(picture), side)).astype(np.float64)


def shrunk(pattern: np.ndarray, doubt: np.ndarray, wanted: np.ndarray | float = 1.0) -> np.ndarray:
    """Wiener's filter: each frequency by the share of its energy that doubt does not explain, if it is wanted."""
    spectral = spectrum(pattern)
    energy = np.maximum(np.abs(spectral) ** 2, 1e-9)
    trust = wanted * np.maximum(0, 1 - doubt / energy)
    return np.fft.irfft2(spectral * trust, s=pattern.shape[:2], axes=(0, 1))


def spectrum(square: np.ndarray) -> np.ndarray:
    return np.fft.rfft2(square, axes=(0, 1))


def _resized(pattern: np.ndarray, side: int) -> np.ndarray:
    planes = (Image.fromarray(plane.astype(np.float32)) for plane in pattern.transpose(2, 0, 1))
    return np.stack([np.asarray(plane.resize((side, side), Image.Resampling.BICUBIC)) for plane in planes], axis=2)


ROWS = (
    Countermeasure(
        "word-mean-subtraction",
        Kind.ADAPTIVE,
        "the mean of the pictures that share a planted-looking word subtracted from them",
        "subtracts what pictures with the same planted word share",
        pairs=subtract_means,
    ),
)
