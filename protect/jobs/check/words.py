"""Whether the planted words are still in the text that stands with a photo."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from protect.data.caption_text import one_line
from protect.methods.parts.image_stats import plain_words
from protect.methods.parts.keywords import words_in
from protect.methods.parts.phrases import phrases
from protect.settings.recipe import LANGUAGES


@dataclass(frozen=True)
class WordsLeft:
    """The words that were planted, and those of them that the found text has; None where there is no text."""

    planted: tuple[str, ...]
    left: tuple[str, ...] | None

    @property
    def share(self) -> float | None:
        """1 where none were planted: then no text lacks any."""
        if self.left is None:
            return None
        return len(self.left) / len(self.planted) if self.planted else 1.0


def words_left(posted: str, before: str | None, found: str) -> WordsLeft:
    """Compares the text to post with the found one; `before` is the photo's own caption, None where it is not known.

    Without it the attribute words of the text count as planted.
    """
    planted = planted_words(posted, before)
    if not one_line(found):
        return WordsLeft(planted, None)
    there, left = Counter(words_in(found)), []
    for word in planted:
        if there[word] > 0:
            there[word] -= 1
            left.append(word)
    return WordsLeft(planted, tuple(left))


def planted_words(posted: str, before: str | None) -> tuple[str, ...]:
    """The words of a published caption that its photo's own caption has not."""
    words = words_in(posted)
    if before is None:
        known = attribute_words() | phrase_words(posted)
        return tuple(word for word in words if word in known)
    own = Counter(words_in(before))
    return tuple(_beyond(words, own))


def _beyond(words: Sequence[str], own: Counter[str]) -> list[str]:
    beyond = []
    for word in reversed(words):  # the caption itself stands at the end, the planted words in front
        if own[word] > 0:
            own[word] -= 1
        else:
            beyond.append(word)
    return beyond[::-1]


def attribute_words() -> frozenset[str]:
    """Every plain word that names how a picture looks."""
    return frozenset(word for words in plain_words() for word in words)


def phrase_words(text: str) -> frozenset[str]:
    """The words of those phrases, of any language, that stand in a text."""
    folded = text.casefold()
    spoken = (phrase for language in LANGUAGES for some in phrases(language).values() for phrase in some)
    return frozenset(word for phrase in spoken if phrase.casefold() in folded for word in words_in(phrase))
