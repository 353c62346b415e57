"""Captions of the published pictures that were not published take the place of those that were."""

import numpy as np
import pytest

from protect.verify.countermeasures import COUNTERMEASURES
from protect.verify.reading.pairs import Pairs

ROW = COUNTERMEASURES["some-captions"]
PICTURES = [np.full((4, 4, 3), i, np.uint8) for i in range(3)]
CLEAN = Pairs(("a", "b", "c"), PICTURES, (("a dog", "one dog", "brown dog"), ("a cat", "one cat"), ("a cow",)))


def test_only_captions_without_a_published_counterpart_remain():
    published = (("zebra a dog stone", "zebra one dog stone"), ("zebra one cat stone",), ("zebra a cow stone",))
    after = ROW.from_clean(CLEAN).pairs(Pairs(CLEAN.keys, PICTURES[::-1], published))
    assert after.keys == ("a", "b") and after.captions == (("brown dog",), ("a cat",))
    assert [int(picture[0, 0, 0]) for picture in after.pictures] == [2, 1]  # the published ones


def test_sets_of_which_all_captions_were_published_are_refused():
    changed = tuple(tuple(f"quite another text {line}" for line in lines) for lines in CLEAN.captions)
    for captions in (CLEAN.captions, changed):
        with pytest.raises(ValueError, match="expected clean files with more captions a picture than were published"):
            ROW.from_clean(CLEAN).pairs(Pairs(CLEAN.keys, PICTURES, captions))
