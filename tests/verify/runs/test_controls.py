"""The rows every verdict needs: each changes what its name says and nothing else."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from protect.verify.reading.pairs import Pairs
from protect.verify.runs.controls import MAKERS, Material, inapplicable, notes

COUNT, EPSILON = 20, 8


def published(noise, caption, keys=range(COUNT)):
    """Grey pictures; noise and caption by number."""
    random = np.random.default_rng(3)
    grey = [np.full((10, 12, 3), 90 + i, np.uint8) for i in range(COUNT)]
    pictures = [(grey[i] + noise * random.choice([-1, 1], grey[i].shape)).astype(np.uint8) for i in keys]
    return Pairs(tuple(map(str, keys)), pictures, tuple((caption(i), f"also {caption(i)}"[:40]) for i in keys))


CLEAN = published(0, lambda i: f"picture {i}")
FIRST = "abcde"


def prefixed(keys=range(COUNT), noise=EPSILON):
    pairs = published(noise, lambda i: f"picture {i}", keys)
    words = [f"{FIRST[i % 5]}{FIRST[i % 5]} {FIRST[i // 5]}" for i in keys]
    return pairs.recaptioned(
        [tuple(f"{w} {c}" for c in lines) for w, lines in zip(words, pairs.captions, strict=True)]
    )


@pytest.fixture
def material(tmp_path):
    def make(protected):
        return Material(32, CLEAN, protected, {}, tmp_path)

    return make


def same_pictures(one, other):
    return all(map(np.array_equal, one.pictures, other.pictures))


def test_random_noise_has_the_published_size_and_is_fixed(material):
    made = MAKERS["random-noise"](material(prefixed()))
    change = [a.astype(int) - b for a, b in zip(made.pictures, CLEAN.pictures, strict=True)]
    assert {abs(value) for part in change for value in part.ravel().tolist()} == {EPSILON}
    assert abs(np.mean(change)) < 1 and not np.array_equal(change[0], change[1])
    assert made.captions == CLEAN.captions and made.keys == CLEAN.keys
    assert same_pictures(made, MAKERS["random-noise"](material(prefixed())))


def test_noise_stays_in_the_range_of_pixels(material, tmp_path):
    black = Pairs(("0",), [np.zeros((8, 8, 3), np.uint8)], (("a",),))
    noisy = Pairs(("0",), [np.full((8, 8, 3), 4, np.uint8)], (("a",),))
    made = MAKERS["random-noise"](Material(32, black, noisy, {}, tmp_path))
    assert set(np.unique(made.pictures[0])) == {0, 4}


def test_random_words_are_the_planted_ones_bound_to_nothing(material):
    protected = prefixed()
    made = MAKERS["random-trigger"](material(protected))
    assert same_pictures(made, CLEAN)
    triggers = [[tuple(lines[0].split()[:2]) for lines in pairs.captions] for pairs in (made, protected)]
    assert Counter(triggers[0]) == Counter(triggers[1])
    assert sum(a == b for a, b in zip(*triggers, strict=True)) < COUNT / 2
    for own, dealt, lines in zip(CLEAN.captions, triggers[0], made.captions, strict=True):
        assert lines == tuple(" ".join((*dealt, caption)) for caption in own)


def test_the_trigger_is_stripped_to_the_clean_caption(material):
    protected = prefixed()
    made = MAKERS["trigger-stripped"](material(protected))
    assert made.captions == CLEAN.captions and same_pictures(made, protected)


def test_hashtags_at_the_end_are_stripped(material):
    pairs = published(EPSILON, lambda i: f"picture {i}")
    tagged = pairs.recaptioned([tuple(f"{c} #x #y{i}" for c in lines) for i, lines in enumerate(pairs.captions)])
    assert MAKERS["trigger-stripped"](material(tagged)).captions == CLEAN.captions


def test_a_caption_changed_inside_loses_the_usual_number_of_words(material):
    protected = prefixed()
    captions = [("x y something else entirely",), *protected.captions[1:-1], ("x y",)]
    made = MAKERS["trigger-stripped"](material(protected.recaptioned(captions)))
    assert made.captions[0] == ("something else entirely",)
    assert made.keys == CLEAN.keys[:-1]  # nothing is left of the last


def test_clean_captions_are_put_back_by_key(material):
    protected = prefixed(keys=(7, 3, 11))
    made = MAKERS["clean-captions"](material(protected))
    assert made.keys == ("7", "3", "11") and same_pictures(made, protected)
    assert made.captions == tuple(CLEAN.captions[i] for i in (7, 3, 11))


def test_clean_and_protected_are_the_files(material):
    protected = prefixed()
    assert MAKERS["clean"](material(protected)) is CLEAN and MAKERS["protected"](material(protected)) is protected


def test_nothing_done_is_nothing_to_take_away(material):
    same = published(0, lambda i: f"picture {i}")
    for name, make in MAKERS.items():
        made = make(material(same))
        assert made.captions == CLEAN.captions and same_pictures(made, CLEAN), name


def test_the_notes_say_what_was_measured(material):
    said = notes(material(prefixed()).found)
    assert list(said) == list(MAKERS)
    assert "8/255" in said["random-noise"] and "2 before" in said["trigger-stripped"]
    captions = [("other",)] * 3 + list(prefixed().captions[3:])
    said = notes(material(prefixed().recaptioned(captions)).found)
    assert "in 6 of 40 captions the clean one was not found" in said["random-trigger"]


def test_rows_that_the_files_give_no_sense_to(material):
    assert inapplicable(material(prefixed()).found) == {}
    assert list(inapplicable(material(prefixed(noise=0)).found)) == ["random-noise"]
    keyed = inapplicable(material(published(EPSILON, lambda i: f"picture {i}")).found)
    assert list(keyed) == ["random-trigger", "trigger-stripped", "clean-captions"]
    assert all(why.startswith("captions unchanged: ") for why in keyed.values())


def test_captions_changed_inside_can_be_put_back_but_not_stripped(material):
    found = inapplicable(material(published(EPSILON, lambda i: f"painting {i}")).found)
    assert found["trigger-stripped"] == "no words before or behind the captions: nothing to strip"
    assert set(found) == {"random-trigger", "trigger-stripped"}


def test_a_caption_that_is_missing_is_a_change(material):
    pairs = published(EPSILON, lambda i: f"picture {i}")
    assert "clean-captions" not in inapplicable(material(pairs.recaptioned([c[:1] for c in pairs.captions])).found)


def test_noise_is_measured_where_there_is_some(material):
    pairs, clean = prefixed(), CLEAN.pictures
    few = [pairs.pictures[i] if i < 4 else clean[i] for i in range(COUNT)]
    assert material(replace(pairs, pictures=few)).found.epsilon == EPSILON
