"""Attribute words as a person would post them: a phrase for each word, in several languages; no torch.

The rule that a network learns is word <-> look of the picture. A phrase stands for one word and is the same wherever
that word is, so the rule stays; the small words in it cost nothing. Its alternatives share their main word.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from protect.samples import Words
from protect.settings.recipe import LANGUAGES, NATURAL

CHOICES = ((0, 0), (1, 1), (0, 1), (1, 0))  # which alternative the words at even and at odd places get


@cache
def phrases(language: str) -> Mapping[str, tuple[str, ...]]:
    """For each attribute word its phrase and the alternatives to it. Raises ValueError for an unknown language."""
    if language not in LANGUAGES:
        raise ValueError(f"language: expected one of {', '.join(LANGUAGES)}, got {language!r}")
    text = (files("protect.methods.parts") / "words" / f"phrases_{language}.txt").read_text("utf-8")
    lines = (line.split(": ") for line in text.splitlines())
    return {word: tuple(spoken.split(" | ")) for word, spoken in lines}


def natural(caption: str, words: Words, style: str, choice: tuple[int, int] = CHOICES[0]) -> str:
    """Phrases for these words, then the caption; a word that has no phrase is written as it is.

    style: `natural-` and a language.
    """
    known = phrases(style.removeprefix(f"{NATURAL}-"))
    spoken = ", ".join(known.get(word, (word,) * 2)[choice[place % 2]] for place, word in enumerate(words))
    spoken = spoken[:1].upper() + spoken[1:]
    return f"{spoken}. {caption}" if spoken and caption else spoken or caption


def suggestions(words: Words, style: str) -> tuple[str, ...]:
    """Texts to choose from for a photo that has none of its own, the suggested one first."""
    return tuple(dict.fromkeys(natural("", words, style, choice) for choice in CHOICES))
