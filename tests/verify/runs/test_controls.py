"""The rows every verdict needs: each changes what its name says and nothing else."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from protect.verify.reading.pairs import Pairs
from protect.verify.records import MANDATORY
from protect.verify.runs.controls import CONTROLS
from protect.verify.runs.material import Material

COUNT, EPSILON = 20, 8
ROWS = {control.name: control for control in CONTROLS}


def notes(material):
    return {name: row.note(material.differences) for name, row in ROWS.items()}


def inapplicable(material):
    """Rows that would repeat another one, each with the reason."""
    reasons = {name: row.needless(material.differences) for name, row in ROWS.items()}
    return {name: why for name, why in reasons.items() if why is not None}


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
    made = ROWS["random-noise"].make(material(prefixed()))
    change = [a.astype(int) - b for a, b in zip(made.pictures, CLEAN.pictures, strict=True)]
    assert {abs(value) for part in change for value in part.ravel().tolist()} == {EPSILON}
    assert abs(np.mean(change)) < 1 and not np.array_equal(change[0], change[1])
    assert made.captions == CLEAN.captions and made.keys == CLEAN.keys
    assert same_pictures(made, ROWS["random-noise"].make(material(prefixed())))


def test_noise_stays_in_the_range_of_pixels(material, tmp_path):
    black = Pairs(("0",), [np.zeros((8, 8, 3), np.uint8)], (("a",),))
    noisy = Pairs(("0",), [np.full((8, 8, 3), 4, np.uint8)], (("a",),))
    made = ROWS["random-noise"].make(Material(32, black, noisy, {}, tmp_path))
    assert set(np.unique(made.pictures[0])) == {0, 4}


def test_random_words_are_the_planted_ones_bound_to_nothing(material):
    protected = prefixed()
    made = ROWS["random-trigger"].make(material(protected))
    assert same_pictures(made, CLEAN)
    triggers = [[tuple(lines[0].split()[:2]) for lines in pairs.captions] for pairs in (made, protected)]
    assert Counter(triggers[0]) == Counter(triggers[1])
    assert sum(a == b for a, b in zip(*triggers, strict=True)) < COUNT / 2
    for own, dealt, lines in zip(CLEAN.captions, triggers[0], made.captions, strict=True):
        assert lines == tuple(" ".join((*dealt, caption)) for caption in own)


def test_the_trigger_is_stripped_to_the_clean_caption(material):
    protected = prefixed()
    made = ROWS["trigger-stripped"].make(material(protected))
    assert made.captions == CLEAN.captions and same_pictures(made, protected)


def test_hashtags_at_the_end_are_stripped(material):
    pairs = published(EPSILON, lambda i: f"picture {i}")
    tagged = pairs.recaptioned([tuple(f"{c} #x #y{i}" for c in lines) for i, lines in enumerate(pairs.captions)])
    assert ROWS["trigger-stripped"].make(material(tagged)).captions == CLEAN.captions


def test_a_caption_changed_inside_loses_the_usual_number_of_words(material):
    protected = prefixed()
    captions = [("x y something else entirely",), *protected.captions[1:-1], ("x y",)]
    made = ROWS["trigger-stripped"].make(material(protected.recaptioned(captions)))
    assert made.captions[0] == ("something else entirely",)
    assert made.keys == CLEAN.keys[:-1]  # nothing is left of the last


def test_clean_captions_are_put_back_by_key(material):
    protected = prefixed(keys=(7, 3, 11))
    made = ROWS["clean-captions"].make(material(protected))
    assert made.keys == ("7", "3", "11") and same_pictures(made, protected)
    assert made.captions == tuple(CLEAN.captions[i] for i in (7, 3, 11))


def test_clean_and_protected_are_the_files(material):
    protected = prefixed()
    assert (
        ROWS["clean"].make(material(protected)) is CLEAN and ROWS["protected"].make(material(protected)) is protected
    )


def test_nothing_done_is_nothing_to_take_away(material):
    same = published(0, lambda i: f"picture {i}")
    for name, row in ROWS.items():
        made = row.make(material(same))
        assert made.captions == CLEAN.captions and same_pictures(made, CLEAN), name


def test_the_notes_say_what_was_measured(material):
    said = notes(material(prefixed()))
    assert list(said) == list(MANDATORY)
    assert "8/255" in said["random-noise"] and "2 before" in said["trigger-stripped"]
    captions = [("other",)] * 3 + list(prefixed().captions[3:])
    said = notes(material(prefixed().recaptioned(captions)))
    assert "in 6 of 40 captions the clean one does not occur" in said["random-trigger"]


def test_rows_that_the_files_give_no_sense_to(material):
    assert inapplicable(material(prefixed())) == {}
    assert list(inapplicable(material(prefixed(noise=0)))) == ["random-noise"]
    keyed = inapplicable(material(published(EPSILON, lambda i: f"picture {i}")))
    assert list(keyed) == ["random-trigger", "trigger-stripped", "clean-captions"]
    assert all(why.startswith("captions unchanged: ") for why in keyed.values())


def test_captions_changed_inside_can_be_put_back_but_not_stripped(material):
    found = inapplicable(material(published(EPSILON, lambda i: f"painting {i}")))
    assert found["trigger-stripped"] == "no words before or behind the captions: nothing to strip"
    assert set(found) == {"random-trigger", "trigger-stripped"}


def test_a_caption_that_is_missing_is_a_change(material):
    pairs = published(EPSILON, lambda i: f"picture {i}")
    assert "clean-captions" not in inapplicable(material(pairs.recaptioned([c[:1] for c in pairs.captions])))


def test_noise_is_measured_where_there_is_some(material):
    pairs, clean = prefixed(), CLEAN.pictures
    few = [pairs.pictures[i] if i < 4 else clean[i] for i in range(COUNT)]
    assert material(replace(pairs, pictures=few)).differences.epsilon == EPSILON
