"""Sample pairs in the page are the pictures that were given."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from protect.verify.report.samples import ROUGH, SamplePair, data_uri, show


def picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(20, 230, (height, width, 3), np.uint8)


def opened(uri):
    kind, data = uri.split(",")
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    assert kind == f"data:image/{image.format.lower()};base64"
    return np.asarray(image)


def test_small_pictures_are_shown_exactly():
    clean = picture(40, 64)
    protected = clean + np.uint8(3)
    shown = show(SamplePair("k", clean, protected, "a cat", "zebra a cat"))
    assert np.array_equal(opened(shown.clean), clean) and np.array_equal(opened(shown.protected), protected)
    assert (opened(shown.difference) == 128 + 48).all()
    assert (shown.width, shown.height, shown.cropped, shown.linf) == (64, 40, False, 3)


def test_large_pictures_show_their_centre():
    clean = np.zeros((400, 1000, 3), np.uint8)
    clean[40:360, 340:660] = 200
    shown = show(SamplePair("k", clean, clean, "", ""))
    assert opened(shown.clean).shape == (320, 320, 3) and (opened(shown.clean) > 190).all()
    assert shown.cropped and shown.linf == 0


def test_differences_of_large_pictures_are_kept_small():
    noisy = picture(320, 320)
    assert len(data_uri(noisy, ROUGH)) < 200_000 < len(data_uri(noisy))


def test_the_difference_goes_both_ways_and_is_bounded():
    clean = np.full((4, 4, 3), 100, np.uint8)
    protected = clean.copy()
    protected[0, 0], protected[0, 1] = 96, 255
    difference = opened(show(SamplePair("k", clean, protected, "", "")).difference)
    assert difference[0, 0].tolist() == [64] * 3 and difference[0, 1].tolist() == [255] * 3
    assert difference[1, 1].tolist() == [128] * 3


def test_added_words_are_told_apart():
    tiny = picture(4, 4)
    words = show(SamplePair("k", tiny, tiny, "a red cat", "zebra kite a red cat moon")).words
    assert words == (("zebra kite", True), ("a red cat", False), ("moon", True))
    assert show(SamplePair("k", tiny, tiny, "a cat", "a cat")).words == (("a cat", False),)


def test_pictures_of_two_sizes_are_an_error():
    with pytest.raises(ValueError, match="two uint8 HxWx3 pictures of one size"):
        SamplePair("k", picture(4, 4), picture(4, 5), "", "")
