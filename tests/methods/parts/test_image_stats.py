"""Traits see what their names say and nothing that flips, crops or codecs change; levels are used evenly."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from protect.methods.instant_settings import ATTRIBUTE_LEVELS, ATTRIBUTES
from protect.methods.parts.image_stats import ATTRIBUTES as STATISTICS
from protect.methods.parts.image_stats import USUAL, AttributeLevels, image_attributes, plain_words

BRIGHT, BLUE, RED, UPPER, ROWS, COLUMNS = range(6)


def scenes(count, size=32, seed=0):
    """Smooth pictures of all brightness and colours."""
    coarse = torch.rand(count, 3, 3, 3, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, size=(size, size), mode="bilinear")


def test_there_are_plain_words_and_usual_figures_for_every_trait():
    assert len(STATISTICS) == len(USUAL) == len(plain_words()) == ATTRIBUTES
    assert {len(words) for words in plain_words()} == {ATTRIBUTE_LEVELS}
    said = [word for words in plain_words() for word in words]
    assert len(set(said)) == len(said) and all(word.isascii() and word.isalpha() for word in said)


@pytest.mark.parametrize(
    ("trait", "where", "channels"),
    [
        (BRIGHT, (slice(None), slice(None)), [0, 1, 2]),
        (BLUE, (slice(None), slice(None)), [2]),
        (RED, (slice(None), slice(None)), [0]),
        (UPPER, (slice(0, 8), slice(None)), [0, 1, 2]),
        (ROWS, (slice(4, 12), slice(None)), [0, 1, 2]),
        (COLUMNS, (slice(None), slice(4, 12)), [0, 1, 2]),
    ],
)
def test_a_trait_grows_most_with_what_it_is_named_for(trait, where, channels):
    plain = torch.full((1, 3, 16, 16), 0.5)
    lit = plain.clone()
    for channel in channels:
        lit[0, channel][where] += 0.2
    grown = (image_attributes(lit) - image_attributes(plain))[0]
    assert grown[trait] > 0 and (trait == BRIGHT or grown.abs().argmax() in (trait, BRIGHT))


def test_a_gray_picture_has_no_colour_and_an_even_one_no_places():
    even = image_attributes(torch.full((1, 3, 20, 12), 0.4))[0]
    assert even[BRIGHT] == pytest.approx(0.4 * 255, abs=1e-3) and even[1:].abs().max() < 1e-3


def test_a_flip_changes_no_trait_and_a_smaller_size_hardly_any():
    images = scenes(50)
    seen = image_attributes(images)
    torch.testing.assert_close(image_attributes(images.flip(3)), seen, atol=1e-3, rtol=0)
    half = torch.nn.functional.interpolate(images, scale_factor=0.5, mode="area")
    torch.testing.assert_close(image_attributes(half), seen, atol=0.05, rtol=0)


def test_jpeg_moves_attributes_by_less_than_a_level():
    images = scenes(20, size=64)
    looks = AttributeLevels.of(image_attributes(scenes(500)), 4, 8)

    def stored(image):
        buffer = io.BytesIO()
        array = (image.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
        Image.fromarray(array).save(buffer, "JPEG", quality=75)
        return torch.from_numpy(np.array(Image.open(buffer))).permute(2, 0, 1) / 255

    again = torch.stack([stored(image) for image in images])
    assert (looks.levels(again) == looks.levels(images)).float().mean() > 0.9


@pytest.mark.parametrize("levels", [2, 5, 8])
def test_levels_of_seen_pictures_are_used_evenly(levels):
    images = scenes(400)
    counts = torch.bincount(
        AttributeLevels.of(image_attributes(images), 3, levels).levels(images)[:, BLUE], minlength=levels
    )
    assert counts.tolist() == [400 // levels] * levels


def test_attributes_that_all_pictures_share_are_told_last():
    gray = scenes(100).mean(1, keepdim=True).expand(-1, 3, -1, -1)
    assert AttributeLevels.of(image_attributes(gray), 4, 8).attributes.tolist() == [BRIGHT, UPPER, ROWS, COLUMNS]
    assert AttributeLevels.of(image_attributes(scenes(100)), 4, 8).attributes.tolist() == [BRIGHT, BLUE, RED, UPPER]


def test_unseen_pictures_get_levels_by_the_usual_spread():
    looks = AttributeLevels.usual(2, 4)
    mean, deviation = USUAL[BRIGHT]
    images = torch.stack([torch.full((3, 8, 8), (mean + step * deviation) / 255) for step in (-2, -0.3, 0.3, 2)])
    assert looks.levels(images)[:, BRIGHT].tolist() == [0, 1, 2, 3]


def test_plain_words_follow_the_attributes_and_their_levels():
    looks = AttributeLevels(torch.tensor([2, 0]), torch.zeros(2, 1))
    assert looks.words == (("verdant", "crimson"), ("nocturnal", "dazzling"))
    assert AttributeLevels.usual(ATTRIBUTES, ATTRIBUTE_LEVELS).words == plain_words()
