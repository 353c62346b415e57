"""Words as a person would post them: every word has a phrase in every language, and the rule word <-> look stays."""

import pytest

from protect.methods.parts.image_stats import plain_words
from protect.methods.parts.keywords import function_words, words_in
from protect.methods.parts.phrases import natural, phrases, suggestions
from protect.methods.parts.writing import write_words
from protect.methods.recipe import Recipe
from protect.settings.recipe import LANGUAGES, FitSettings, TriggerSettings
from protect.verify.countermeasures.prefix_dedup import deduplicate

EVERY = [word for words in plain_words() for word in words]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_attribute_word_has_a_phrase_and_an_alternative_with_its_main_word(language):
    spoken = phrases(language)
    assert list(spoken) == EVERY
    for word, some in spoken.items():
        first, other = (set(words_in(phrase)) - function_words() for phrase in some)
        assert len(some) == 2 and any(_stem(a) == _stem(b) for a in first for b in other), (word, some)


def _stem(word):
    """The beginning, which forms of a word share."""
    return word[:3]


@pytest.mark.parametrize("language", LANGUAGES)
def test_levels_of_an_attribute_have_phrases_of_their_own(language):
    for words in plain_words():
        said = [phrase for word in words for phrase in phrases(language)[word]]
        assert len(set(said)) == len(said)


def test_words_become_a_sentence_in_front_of_the_caption():
    words = ("dazzling", "azure", "verdant", "skyward")
    assert natural("", words, "natural-en") == "Dazzling light, blue all over, lush green, bright overhead"
    assert write_words("a boat", words, "natural-de") == (
        "Strahlendes Licht, alles in Blau, saftiges Grün, oben sehr hell. a boat"
    )
    assert write_words("a boat", (), "natural-en") == "a boat"
    assert natural("a boat", ("window",), "natural-fr") == "Window. a boat"  # no attribute word: as it is


def test_suggestions_differ_and_the_first_is_the_one_in_front():
    words = ("dim", "amber", "olive", "airy")
    texts = suggestions(words, "natural-es")
    assert len(set(texts)) == 4 and texts[0] == natural("", words, "natural-es")


def test_the_language_is_part_of_the_style():
    assert TriggerSettings(trigger_style="natural", language="it").style == "natural-it"
    assert TriggerSettings(trigger_style="prefix", language="it").style == "prefix"
    assert Recipe().trigger.style == "natural-en"  # the default of instant
    assert Recipe(FitSettings(method="random")).trigger.style == "prefix"
    with pytest.raises(ValueError, match="language: expected one of"):
        TriggerSettings(language="xx")


def test_attackers_who_drop_repeated_words_drop_the_sentence_too():
    words = [tuple(some[level % 8] for some in plain_words()[:4]) for level in range(80)]
    clean = [(f"a boat with {number} sails. It is far away",) for number in range(80)]
    published = [(write_words(line, some, "natural-en"),) for (line,), some in zip(clean, words, strict=True)]
    assert deduplicate(published) == clean
    assert deduplicate(clean) == clean
