"""Words that look planted: captions begin or end with them far more often than they use them otherwise."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from protect.verify.countermeasures.base import Captions, Countermeasure, Kind
from protect.verify.countermeasures.text import FUNCTION_WORDS, each, fold_word

EDGE = 5  # words from either end in which a planted one is looked for
MANY = 5  # captions that must share a word at an edge
TIMES = 10.0  # how much more common it must be there than elsewhere
TEMPLATE = 0.5  # of the captions: a word that more of them have belongs to their template, and teaches nothing


@dataclass(frozen=True)
class Planted:
    """How many times as common a word is at the first words of captions, or the last, as elsewhere."""

    first: Mapping[str, float]
    last: Mapping[str, float]

    @property
    def words(self) -> frozenset[str]:
        """All of them, whatever the edge."""
        return frozenset(self.first) | frozenset(self.last)

    def peel(self, caption: str) -> str:
        """The caption without planted words at its ends, taken off from the outside inwards."""
        words = caption.split()
        start, end = 0, len(words)
        while start < min(EDGE, end) and fold_word(words[start]) in self.first:
            start += 1
        while end > max(start, len(words) - EDGE) and fold_word(words[end - 1]) in self.last:
            end -= 1
        return " ".join(words[start:end])


def find_planted(sets: Sequence[Captions], times: float = TIMES) -> Planted:
    """Words that at least five captions have at an edge, `times` as often as elsewhere.

    Only those of one edge, where they take more words off captions: nouns often end a caption by nature.
    """
    captions = [caption for captions in sets for caption in captions]
    words = [[fold_word(word) for word in caption.split()] for caption in captions]
    first = Planted(dict(_ratios(words, times)), {})
    last = Planted({}, dict(_ratios([line[::-1] for line in words], times)))
    return max(last, first, key=lambda side: sum(len(c.split()) - len(side.peel(c).split()) for c in captions))


def _ratios(captions: Sequence[list[str]], times: float) -> Iterator[tuple[str, float]]:
    edge = Counter(word for words in captions for word in set(words[:EDGE]))
    places = sum(min(EDGE, len(words)) for words in captions)
    inside = Counter(word for words in captions for word in words[EDGE:])
    others = inside.total()
    for word, count in edge.items():
        ratio = (count / places) / ((inside[word] + 1) / (others + 1))
        usual = word in FUNCTION_WORDS or not word
        if not usual and MANY <= count <= TEMPLATE * len(captions) and ratio >= times:
            yield word, ratio


def deduplicate(sets: Sequence[Captions]) -> list[Captions]:
    """Captions without what repeats across many of them: a first sentence of such phrases, words at their ends."""
    sets = each(partial(_without_first_sentence, repeated=_repeated_phrases(sets)), sets)
    return each(find_planted(sets).peel, sets)


def _first_sentence(caption: str) -> list[str]:
    """The phrases, between commas, of a first sentence that another one follows; none where there is but one."""
    first, _, rest = caption.partition(". ")
    return [phrase.strip().casefold() for phrase in first.split(",")] if rest.strip() else []


def _repeated_phrases(sets: Sequence[Captions]) -> frozenset[str]:
    """Phrases that the first sentences of at least five captions share."""
    count = Counter(phrase for captions in sets for caption in captions for phrase in set(_first_sentence(caption)))
    return frozenset(phrase for phrase, captions in count.items() if captions >= MANY)


def _without_first_sentence(caption: str, repeated: Collection[str]) -> str:
    """The caption without its first sentence, where that is made of several phrases, most of them repeated."""
    phrases = _first_sentence(caption)
    known = sum(phrase in repeated for phrase in phrases)
    return caption.partition(". ")[2] if len(phrases) > 1 and known > len(phrases) / 2 else caption


ROWS = (
    Countermeasure(
        "deduplicate-prefixes",
        Kind.TEXT,
        "words or phrases that many captions begin or end with, and use nowhere else, dropped there",
        "drops words that look planted",
        captions=deduplicate,
        strong=True,
    ),
)
