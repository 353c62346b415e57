"""Mixtures: the owner's share as published, the others clean, and the others alone."""

import numpy as np
import pytest

from protect.verify.reading.pairs import Pairs
from protect.verify.runs.material import Material
from protect.verify.runs.mixtures import absent, mixed, owned

KEYS = tuple(f"{i:03}" for i in range(40))


def pairs(value, caption, keys=KEYS):
    pictures = [np.full((4, 5, 3), value, np.uint8) for _ in keys]
    return Pairs(keys, pictures, tuple((f"{caption} {key}",) for key in keys))


@pytest.fixture
def material(tmp_path):
    missing = {sorted(owned(KEYS, 50.0))[0], sorted(set(KEYS) - owned(KEYS, 50.0))[0]}
    published = pairs(200, "published", tuple(key for key in KEYS[::-1] if key not in missing))
    return Material(32, pairs(10, "clean"), published, {}, tmp_path)


@pytest.mark.parametrize("percent", [10.0, 50.0, 62.5])
def test_the_owner_has_the_share_and_a_larger_one_holds_it(percent):
    own = owned(KEYS, percent)
    assert len(own) == round(40 * percent / 100)
    assert own < owned(KEYS, 90.0) and own != set(KEYS[: len(own)])


def test_a_mixture_takes_the_owners_pairs_as_published(material):
    own, made = owned(KEYS, 50.0), mixed(material, 50.0)
    assert len(made) == 39 and list(made.keys) == sorted(made.keys)  # one of the owner's was not published
    for key, picture, captions in zip(made.keys, made.pictures, made.captions, strict=True):
        assert captions == (f"{'published' if key in own else 'clean'} {key}",)
        assert (picture == (200 if key in own else 10)).all()


def test_absent_is_the_rest(material):
    made = absent(material, 50.0)
    assert set(made.keys) == set(KEYS) - owned(KEYS, 50.0)
    assert all(captions[0].startswith("clean") for captions in made.captions)
