"""The vetted list keeps its promises; alphabets are disjoint, stable and chosen by seed."""

import re

import pytest

from protect.methods.parts.wordlist import draw_alphabet, vetted_words

NEVER = (
    ("the", "and", "with", "this", "not"),  # function words
    (
        "dog",
        "cat",
        "man",
        "woman",
        "child",
        "people",
        "girl",
        "boy",
        "bird",
        "horse",
        "deer",
        "frog",
    ),  # in photos
    ("car", "airplane", "ship", "truck", "bus", "tree", "water", "street"),
    ("top", "bottom", "left", "right", "corner", "red", "blue", "black", "two", "seven"),  # false statements
    ("kill", "dead", "gun", "weapon", "war", "blood", "poison", "terrorism", "suicide", "attack"),
    ("sex", "nude", "drug", "cocaine", "beer", "god", "church", "muslim", "jewish", "nazi", "race", "gypsy"),
    ("apple", "amazon", "google", "adobe", "target", "obama", "london", "jesus"),
    ("ugly", "stupid", "idiot", "hate", "fat", "crap", "slut", "retard"),
)


def test_words_are_plain_sorted_and_different():
    words = vetted_words()
    assert all(re.fullmatch(r"[a-z]{3,10}", word) for word in words)
    assert list(words) == sorted(set(words))
    assert 1500 <= len(words) <= 4000


@pytest.mark.parametrize("words", NEVER)
def test_words_that_must_not_be_written_into_captions(words):
    assert not set(words) & set(vetted_words())


def test_every_word_is_one_clip_token_that_reads_back():
    from protect.clip.open_clip_import import open_clip

    tokenizer = open_clip().tokenizer.SimpleTokenizer()
    ids = {word: tokenizer.encode(word) for word in vetted_words()}
    assert {word for word, tokens in ids.items() if len(tokens) != 1} == set()
    assert {word for word, tokens in ids.items() if tokenizer.decode(tokens).strip() != word} == set()
    caption = tokenizer.encode(" ".join(vetted_words()) + ".")
    assert caption[:-1] == [tokens[0] for tokens in ids.values()]


def test_alphabet_is_disjoint_and_of_the_asked_size():
    alphabet = draw_alphabet(4, 16, 0)
    assert [len(set(words)) for words in alphabet] == [16] * 4
    assert len({word for words in alphabet for word in words}) == 64
    assert {word for words in alphabet for word in words} <= set(vetted_words())


def test_alphabet_depends_on_the_seed_alone():
    assert draw_alphabet(3, 8, 7) == draw_alphabet(3, 8, 7)
    assert draw_alphabet(3, 8, 7) != draw_alphabet(3, 8, 8)
    assert draw_alphabet(2, 8, 7) == draw_alphabet(3, 8, 7)[:2]


def test_alphabet_uses_the_whole_list_when_asked_to():
    words = vetted_words()
    assert draw_alphabet(2, None, 5) == (words, words)
    assert set(draw_alphabet(1, len(words), 5)[0]) == set(words)
    assert draw_alphabet(0, 16, 5) == ()


def test_alphabet_refuses_more_words_than_there_are():
    with pytest.raises(ValueError, match=r"expected at most \d+ words, got 1000 positions x 16 words = 16000; lower"):
        draw_alphabet(1000, 16, 0)
