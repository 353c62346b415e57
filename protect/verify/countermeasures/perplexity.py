"""A perplexity filter (ONION, Qi et al. 2021): drops words whose removal makes their caption far more likely.

Likelihood is that of a bigram model of the captions themselves.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import log2

import numpy as np

from protect.verify.countermeasures.base import Captions, Countermeasure, Kind
from protect.verify.countermeasures.text import each, fold_word

TRUST = 0.75  # weight of the bigram, the rest is the word's own frequency
EXTREME = 2.0  # standard deviations above the mean
START, END = "\x02", "\x03"


class Bigrams:
    """Counts of words and of neighbouring words in some captions."""

    def __init__(self, captions: Sequence[list[str]]) -> None:
        self.pairs = Counter(pair for words in captions for pair in pairwise(words))
        self.before = Counter(word for words in captions for word in words[:-1])
        self.words = Counter(word for words in captions for word in words[1:])
        self.total = self.words.total()

    def savings(self, words: list[str], own: "Bigrams") -> Iterator[float]:
        """Bits that a caption needs less without each of its inner words, by the counts without `own`."""
        for before, word, after in zip(words, words[1:], words[2:], strict=False):
            with_it = self._bits(before, word, own) + self._bits(word, after, own)
            yield with_it - self._bits(before, after, own)

    def _bits(self, before: str, word: str, own: "Bigrams") -> float:
        seen = self.before[before] - own.before[before]
        here = (self.pairs[before, word] - own.pairs[before, word]) / seen if seen else 0.0
        anywhere = (self.words[word] - own.words[word] + 0.5) / (self.total - own.total + 0.5 * len(self.words))
        return -log2(TRUST * here + (1 - TRUST) * anywhere)


def drop_unlikely(sets: Sequence[Captions]) -> list[Captions]:
    """Captions without the words whose removal saves extremely many bits.

    A picture's own captions do not count towards what is expected of them.
    """
    folded = [[_folded(caption) for caption in captions] for captions in sets]
    whole = Bigrams([words for captions in folded for words in captions])
    saved: dict[str, list[float]] = {}
    for captions, texts in zip(folded, sets, strict=True):
        own = Bigrams(captions)
        saved |= {text: list(whole.savings(words, own)) for words, text in zip(captions, texts, strict=True)}
    values = np.array([value for row in saved.values() for value in row] or [0.0])
    limit = float(values.mean() + EXTREME * values.std())

    def keep(caption: str) -> str:
        return " ".join(word for word, bits in zip(caption.split(), saved[caption], strict=True) if bits <= limit)

    return each(keep, sets)


def _folded(caption: str) -> list[str]:
    return [START, *map(fold_word, caption.split()), END]


ROWS = (
    Countermeasure(
        "perplexity-filter",
        Kind.TEXT,
        "words dropped without which a bigram model finds their caption far more likely",
        "drops words that look planted",
        captions=drop_unlikely,
    ),
)
