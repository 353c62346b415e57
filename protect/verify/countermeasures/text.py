"""What attackers do to captions one by one: cut words off their ends, drop, shuffle or replace words."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from math import ceil

import numpy as np

from protect.seeds import derive
from protect.verify.countermeasures.base import Captions, Countermeasure, Kind

Redraw = Callable[[list[str], np.random.Generator], list[str]]

LENGTHS = range(1, 6)
RARE = 1e-3  # of the captions: a word in fewer of them is rare
AT_LEAST = 2  # captions, however small the set
GRAMMAR = """a an the this that these those there here it its he she they we you i his her their our my your one two
three four five six seven eight nine ten several some many few both all every each another other no not and or but if
while as of in on at by from with without under over into onto near behind beside between through up down out off is
are was were be been being has have had do does did to for who which what"""
FUNCTION_WORDS = frozenset(GRAMMAR.split())
SENTENCE_END = re.compile(r"[.!?](?=\s|$)")
EDGES = "\"'.,;:!?()[]{}<>*_-\u2013\u2014\u2018\u2019\u201c\u201d"


def fold_word(word: str) -> str:
    """What words have in common that differ in case and punctuation; a hashtag keeps its #."""
    return word.strip(EDGES).casefold()


def each(change: Callable[[str], str], sets: Sequence[Captions]) -> list[Captions]:
    """Every caption changed; those without a word left are dropped, and with the last one its pair."""
    changed = ([change(caption) for caption in captions] for captions in sets)
    return [tuple(caption for caption in captions if caption) for captions in changed]


def strip_first(caption: str, count: int) -> str:
    """The caption without its first words."""
    return " ".join(caption.split()[count:])


def strip_last(caption: str, count: int) -> str:
    """The caption without its last words."""
    return " ".join(caption.split()[:-count])


def redrawn(change: Redraw, sets: Sequence[Captions]) -> list[Captions]:
    """The words of every caption changed by chance, once and for all: by the caption and the number of its pair."""

    def drawn(number: int, caption: str) -> str:
        random = np.random.default_rng(derive(0, change.__name__, number, caption))
        return " ".join(change(caption.split(), random))

    return [tuple(drawn(number, caption) for caption in captions) for number, captions in enumerate(sets)]


def shuffled(words: list[str], random: np.random.Generator) -> list[str]:
    """All words, in random order."""
    return [words[i] for i in random.permutation(len(words))]


def half(words: list[str], random: np.random.Generator) -> list[str]:
    """Half of the words, at least one, in their order."""
    chosen = random.choice(len(words), ceil(len(words) / 2), replace=False)
    return [words[i] for i in sorted(chosen)]


def drop_rare(sets: Sequence[Captions]) -> list[Captions]:
    """Captions without the words that fewer than one caption in a thousand has (or fewer than two do)."""
    seen = Counter(word for captions in sets for caption in captions for word in set(map(fold_word, caption.split())))
    least = max(AT_LEAST, RARE * sum(map(len, sets)))

    def keep(caption: str) -> str:
        words = [(word, fold_word(word)) for word in caption.split()]
        return " ".join(word for word, folded in words if not folded or seen[folded] >= least)

    return each(keep, sets)


def inside_sentence(caption: str) -> str:
    """The caption without what stands outside its sentence: hashtags, words before the capital letter that
    begins it, words without an end after its last full stop."""
    words = [word for word in caption.split() if not re.fullmatch(r"#\w+[.,]?", word)]
    opens = next((i for i, word in enumerate(words) if _opens(word)), 0)
    if all(word.islower() and word[-1] not in ".!?" for word in words[:opens]):
        words = words[opens:]
    text = " ".join(words)
    ends = [match.end() for match in SENTENCE_END.finditer(text)]
    return text[: ends[-1]] if ends else text


def _opens(word: str) -> bool:
    return word[:1].isupper() and word.casefold() in FUNCTION_WORDS


def _strip(name: str, change: Callable[..., str], count: int) -> Countermeasure:
    text = f"the {name} {count} words of every caption cut off" if count > 1 else f"the {name} word cut off"
    captions = partial(each, partial(change, count=count))
    return Countermeasure(f"strip-{name}-{count}", Kind.TEXT, text, f"cuts off the {name} words", captions=captions)


PLANTED, CHANGED = "drops words that look planted", "changes the words of the captions"
ROWS = (
    *(_strip("first", strip_first, count) for count in LENGTHS),
    *(_strip("last", strip_last, count) for count in LENGTHS),
    Countermeasure(
        "drop-rare-words",
        Kind.TEXT,
        "words in under 1 of 1,000 captions dropped",
        PLANTED,
        captions=drop_rare,
    ),
    Countermeasure(
        "drop-outside-words",
        Kind.TEXT,
        "hashtags and words before or after the sentence dropped",
        PLANTED,
        captions=partial(each, inside_sentence),
    ),
    Countermeasure(
        "shuffled-words",
        Kind.TEXT,
        "the words of every caption in random order, fixed for each pair",
        CHANGED,
        captions=partial(redrawn, shuffled),
        test_captions=partial(redrawn, shuffled),
    ),
    Countermeasure(
        "half-words",
        Kind.TEXT,
        "a random half of every caption's words dropped, fixed for each pair",
        CHANGED,
        captions=partial(redrawn, half),
        strong=True,
    ),
)
