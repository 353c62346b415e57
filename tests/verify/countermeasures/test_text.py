import pytest

from protect.verify.countermeasures import COUNTERMEASURES
from protect.verify.countermeasures.text import fold_word, inside_sentence

SETS = [("one two three four five six", "one two"), ("seven eight",)]


def changed(name, sets):
    return COUNTERMEASURES[name].captions(sets)


@pytest.mark.parametrize("count", range(1, 6))
def test_strip_first_drops_so_many_words(count):
    words = ["a", "b", "c", "d", "e", "f", "g"]
    assert changed(f"strip-first-{count}", [("a  b c d e f g",)]) == [(" ".join(words[count:]),)]


@pytest.mark.parametrize("count", range(1, 6))
def test_strip_last_drops_so_many_words(count):
    words = ["a", "b", "c", "d", "e", "f", "g"]
    assert changed(f"strip-last-{count}", [("a b c d e f g",)]) == [(" ".join(words[:-count]),)]


def test_captions_without_words_left_go_and_pairs_without_captions_are_empty():
    assert changed("strip-first-3", SETS) == [("four five six",), ()]
    assert changed("strip-last-2", SETS) == [("one two three four",), ()]


def test_rare_words_are_dropped():
    common = [("a dog in a field",), ("a cat in a field",), ("dog, and a cat in a field",)] * 4
    assert changed("drop-rare-words", [*common, ("a Zebra dog in a field",)]) == [*common, ("a dog in a field",)]


def test_rare_is_one_caption_in_a_thousand():
    sets = [("common words", "planted common words")] * 3 + [("common words",)] * 2994
    assert changed("drop-rare-words", sets)[0] == ("common words", "planted common words")  # 3 of 3,000
    assert changed("drop-rare-words", [*sets, *[("common words",)] * 2])[0] == ("common words", "common words")


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("zebra lamp quick A dog runs .", "A dog runs ."),
        ("A dog runs . zebra lamp quick", "A dog runs ."),
        ("a dog runs #zebra #lamp", "a dog runs"),
        ("A Boeing 747 at an airport", "A Boeing 747 at an airport"),
        ("a dog runs. Another sits.", "a dog runs. Another sits."),
        ("Two dogs", "Two dogs"),
        ("photo of 3.5 apples", "photo of 3.5 apples"),
        ("#zebra", ""),
    ],
)
def test_words_outside_the_sentence_are_dropped(caption, expected):
    assert inside_sentence(caption) == expected


@pytest.mark.parametrize("name", ["shuffled-words", "half-words"])
def test_chance_changes_of_words_are_fixed_for_each_pair(name):
    sets = [("one two three four five six seven", "eight nine ten"), ("one two three four five six seven",)]
    once = changed(name, sets)
    assert once == changed(name, sets) and once[0][0] != once[1][0] != sets[0][0]


def test_shuffled_words_are_all_there():
    sets = [("a dog in the field by day and night",)] * 20
    found = [caption for (caption,) in changed("shuffled-words", sets)]
    assert {tuple(sorted(caption.split())) for caption in found} == {tuple(sorted(sets[0][0].split()))}
    assert len(set(found)) > 10


@pytest.mark.parametrize(("caption", "left"), [("a b c d e f", 3), ("a b c", 2), ("a", 1)])
def test_half_of_the_words_stay_in_their_order(caption, left):
    for (found,) in changed("half-words", [(caption,)] * 20):
        words = found.split()
        assert len(words) == left and words == sorted(words) and set(words) <= set(caption.split())


def test_words_are_alike_whatever_their_case_and_punctuation():
    assert fold_word("Dog,") == fold_word("(dog)") == "dog"
    assert fold_word("#dog") != fold_word("dog")
    assert fold_word(".") == ""
