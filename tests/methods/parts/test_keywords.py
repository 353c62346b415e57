"""Words of captions: what counts as one, which tell pictures apart, and in which order they are taken."""

import pytest

from protect.methods.parts.keywords import Vocabulary, function_words, words_in

NOTHING = Vocabulary(0, {})


@pytest.mark.parametrize(
    "text, words",
    [
        ("A Dog, a dog-house!", ["a", "dog", "a", "dog", "house"]),
        ("Café CAFÉ cafe\u0301", ["café", "café", "café"]),
        ("IMG_0001 #beach", ["img", "0001", "beach"]),
        ("赤い犬", ["赤", "い", "犬"]),
        ("", []),
        ("... 🐶 !", []),
    ],
)
def test_words_of_a_text(text, words):
    assert words_in(text) == words


def test_function_words_are_folded_words_of_their_own():
    assert {"the", "a", "on", "und", "photo"} <= function_words()
    assert all(words_in(word) == [word] for word in function_words())


def test_a_vocabulary_counts_pictures_not_mentions_and_forgets_what_it_saw_once():
    counted = Vocabulary.of([["a dog", "a dog and a dog"], ["the dog runs"], ["a cat"]])
    assert counted == Vocabulary(3, {"a": 2, "dog": 2})


def test_words_in_most_pictures_tell_nothing():
    captions = [[f"corner {'cat' if i % 2 else 'dog'}{' big' if i < 6 else ''}"] for i in range(8)]
    counted = Vocabulary.of(captions)
    assert counted.keywords() == ["cat", "dog"]  # half of the pictures is not more than half
    assert counted.keywords_of(["a big cat in a corner"], 4) == ("cat",)


def test_words_of_most_captions_come_first_then_frequent_ones_then_the_order_of_the_text():
    counted = Vocabulary(100, {"beach": 5, "dog": 30})
    assert counted.keywords_of(["sand, beach and a dog", "a dog and its ball"], 4) == ("dog", "beach", "sand", "ball")
    assert counted.keywords_of(["sand, beach and a dog"], 2) == ("dog", "beach")


def test_captions_without_a_keyword_keep_what_they_have():
    assert NOTHING.keywords_of(["on and on"], 4) == ("on", "and")
    assert NOTHING.keywords_of(["?!", ""], 4) == ()
