"""What protection did, as seen by comparing files: planted words, size of the noise."""

import io
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from protect.verify.reading.differences import assigned, differences, noise_size, planted, strip
from protect.verify.reading.pairs import Pairs


@pytest.mark.parametrize(
    ("published", "before", "behind"),
    [
        ("a red house", (), ()),
        ("zebra quilt a red house", ("zebra", "quilt"), ()),
        ("a red house zebra", (), ("zebra",)),
        ("a red house #zebra #Quilt", (), ("#zebra", "#Quilt")),
        ("zebra a red house #quilt", ("zebra",), ("#quilt",)),
        ("Zebra  A red\thouse", ("Zebra",), ()),
    ],
)
def test_planted_words_are_those_around_the_clean_caption(published, before, behind):
    assert planted("a red house", published) == (before, behind)
    stripped = strip(published, len(before), len(behind))
    assert stripped.casefold() == "a red house"


@pytest.mark.parametrize("published", ["a house", "a zebra red house", "", "a red houseboat"])
def test_a_caption_changed_inside_holds_no_planted_words(published):
    assert planted("a red house", published) is None


def test_a_caption_that_repeats_itself_keeps_its_words():
    assert planted("red red", "red red red") == (("red",), ())


def smooth(seed):
    """A picture far from black and white, as noise of full size would be clipped there."""
    random = np.random.default_rng(seed)
    down, right = np.mgrid[0:48, 0:64]
    return np.stack([80 + down, 90 + right, 150 - down], axis=2).astype(np.uint8) + random.integers(
        0, 9, (48, 64, 3), np.uint8
    )


def pairs(pictures, captions=None):
    keys = tuple(map(str, range(len(pictures))))
    return Pairs(keys, pictures, captions or tuple(("a",) for _ in keys))


def changed(pictures, change):
    random = np.random.default_rng(9)
    return [(p + change(random, p.shape)).clip(0, 255).astype(np.uint8) for p in pictures]


def as_jpeg(picture):
    data = io.BytesIO()
    Image.fromarray(picture).save(data, "JPEG", quality=95, subsampling=0)
    return np.asarray(Image.open(data))


CLEAN = [smooth(seed) for seed in range(6)]


@pytest.mark.parametrize(("epsilon", "even"), [(0, 0), (1, 1), (4, 3), (8, 5)])
def test_the_size_of_the_noise_is_its_mean_square(epsilon, even):
    signs = changed(CLEAN, lambda random, shape: epsilon * random.choice([-1, 1], shape))
    evenly = changed(CLEAN, lambda random, shape: random.integers(-epsilon, epsilon + 1, shape))
    assert noise_size(pairs(CLEAN), pairs(signs)) == epsilon
    assert noise_size(pairs(CLEAN), pairs(evenly)) == even


def test_jpeg_makes_it_little_larger():
    signs = changed(CLEAN, lambda random, shape: 8 * random.choice([-1, 1], shape))
    assert 8 <= noise_size(pairs(CLEAN), pairs([as_jpeg(p) for p in signs])) <= 10


def test_little_noise_is_not_none():
    sparse = [p.copy() for p in CLEAN]
    for picture in sparse:
        picture[3, 4, 1] -= 7
    assert noise_size(pairs(CLEAN), pairs(sparse)) == 1


def test_pictures_of_other_sizes_are_compared_at_the_published_one():
    small = [np.asarray(Image.fromarray(p).resize((32, 24), Image.Resampling.BICUBIC)) for p in CLEAN]
    assert noise_size(pairs(CLEAN), pairs(small)) == 0


def test_differences_go_by_key_and_by_line():
    captions = tuple((f"number {i}", f"a picture {i}") for i in range(6))
    clean = pairs(CLEAN, captions)
    published = Pairs(
        ("5", "1", "2", "9"),
        [CLEAN[5], CLEAN[1], CLEAN[2], CLEAN[0]],
        (("x y number 5", "x y a picture 5"), ("number 1 z", "other"), ("x y number 2",), ("x",)),
    )
    found = differences(clean, published)
    assert found.triggers == {"5": (("x", "y"), ()), "1": ((), ("z",)), "2": (("x", "y"), ())}
    assert (found.usual, found.unlike, found.compared) == ((2, 0), 2, 6)
    assert (found.epsilon, found.planted, found.same_captions) == (0, 4, False)
    assert differences(clean, clean).same_captions


def test_triggers_are_dealt_evenly():
    triggers = [((str(i),), ()) for i in range(5)]
    dealt = assigned(triggers, 17, np.random.default_rng(0))
    assert len(dealt) == 17 and set(Counter(dealt).values()) == {3, 4}
    assert dealt[:5] != triggers
