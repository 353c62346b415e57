"""Keywords: the words of captions that tell pictures apart, the most useful ones first; no torch."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

WORD = re.compile(r"[^\W_]+")
COMMON = 0.5  # a word in more than this share of the pictures' captions tells none from another
SCRIPTS_WITHOUT_SPACES = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e00-\u0e7f]")


@cache
def function_words() -> frozenset[str]:
    """Words that say nothing about a picture: English ones, and the commonest of four other languages."""
    return frozenset((files("protect.methods.parts") / "words" / "function_words.txt").read_text("utf-8").split())


def words_in(text: str) -> list[str]:
    """The words of a text, in folded case and composed letters; of a script without spaces each sign."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return [part for word in WORD.findall(folded) for part in _parts(word)]


def _parts(word: str) -> Iterable[str]:
    return word if SCRIPTS_WITHOUT_SPACES.search(word) else (word,)


@dataclass(frozen=True)
class Vocabulary:
    """How many pictures of a window have each word in a caption; empty where nothing is known of the data."""

    pictures: int
    count: Mapping[str, int]

    @classmethod
    def of(cls, captions: Iterable[Sequence[str]]) -> "Vocabulary":
        count: Counter[str] = Counter()
        pictures = 0
        for lines in captions:
            pictures += 1
            count.update({word for line in lines for word in words_in(line)})
        return cls(pictures, {word: number for word, number in count.items() if number > 1})

    def keywords(self) -> list[str]:
        """The words that tell pictures apart, the most frequent first."""
        words = [word for word in self.count if self._tells(word)]
        return sorted(words, key=lambda word: (-self.count[word], word))

    def keywords_of(self, captions: Sequence[str], most: int) -> tuple[str, ...]:
        """At most `most` words of a picture's captions: those of most of its captions first, then the most frequent.

        A word that is seen often is learned soon. Captions of function words alone keep these.
        """
        lines = [list(dict.fromkeys(words_in(caption))) for caption in captions]
        times = Counter(word for line in lines for word in line)
        told = [word for word in times if self._tells(word)] or list(times)
        return tuple(sorted(told, key=lambda word: (-times[word], -self.count.get(word, 0)))[:most])

    def _tells(self, word: str) -> bool:
        return word not in function_words() and self.count.get(word, 0) <= COMMON * self.pictures
