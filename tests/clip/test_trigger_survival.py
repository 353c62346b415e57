"""A trigger counts as published only where a model still reads it."""

import pytest

from protect.clip.trigger_survival import trigger_survives
from protect.methods.parts.writing import write_words
from protect.settings.recipe import NATURAL, STYLES

WORDS = ("amber", "violin", "kettle")
SHORT = "A dog, two cats &amp; a bird's nest — 3 of them!"
AS_WORDS = [style for style in STYLES if style != NATURAL]  # phrases need words that have one
LONG = "a very long caption about nothing at all " * 12


@pytest.mark.parametrize("style", AS_WORDS)
def test_written_words_survive_in_a_short_caption(style):
    assert trigger_survives(write_words(SHORT, WORDS, style), WORDS, style)
    assert trigger_survives(write_words("", WORDS, style), WORDS, style)


@pytest.mark.parametrize(
    ("style", "survives"), [("prefix", True), ("both", True), ("suffix", False), ("hashtags", False)]
)
def test_long_captions_lose_what_stands_at_their_end(style, survives):
    assert trigger_survives(write_words(LONG, WORDS, style), WORDS, style) is survives


@pytest.mark.parametrize(("style", "room"), [("suffix", 75 - 3), ("hashtags", 75 - 6)])
def test_the_last_token_that_fits_is_counted(style, room):
    assert trigger_survives(write_words("dog " * room, WORDS, style), WORDS, style)
    assert not trigger_survives(write_words("dog " * (room + 1), WORDS, style), WORDS, style)


@pytest.mark.parametrize("style", AS_WORDS)
def test_other_words_another_order_or_another_place_do_not_count(style):
    written = write_words(SHORT, WORDS, style)
    assert not trigger_survives(SHORT, WORDS, style)
    assert not trigger_survives(written, WORDS[::-1], style)
    assert not trigger_survives(written, (*WORDS[:2], "lantern"), style)
    assert not trigger_survives(f"x {written} x", WORDS, style)


def test_styles_are_told_apart():
    assert not trigger_survives(write_words(SHORT, WORDS, "suffix"), WORDS, "hashtags")
    assert not trigger_survives(write_words(SHORT, WORDS, "suffix"), WORDS, "prefix")
    assert not trigger_survives(write_words(SHORT, WORDS, "hashtags"), WORDS, "suffix")


@pytest.mark.parametrize("style", AS_WORDS)
def test_case_does_not_matter_and_no_words_always_survive(style):
    assert trigger_survives(write_words(SHORT, WORDS, style).upper(), WORDS, style)
    assert trigger_survives(LONG, (), style)
