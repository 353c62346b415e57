"""A picture is found in another one, to a fraction of a pixel, whatever was done to it."""

import numpy as np
import pytest
from PIL import Image

from protect.jobs.check.alignment import align, rough_likeness


@pytest.fixture(scope="module")
def cup(source):
    return Image.open(source / "coffee.jpg").convert("RGB")


def error(box, wanted):
    return max(abs(one - two) for one, two in zip(box, wanted, strict=True))


def test_a_crop_is_found_at_another_size(cup):
    box = (61.0, 20.0, 301.0, 230.0)
    place = align(cup, cup.crop(tuple(map(int, box))).resize((168, 147), Image.Resampling.LANCZOS))
    assert place.same and error(place.mine, box) < 0.3


def test_a_screenshot_is_found_at_an_odd_size(cup):
    page = Image.new("RGB", (520, 430), "white")
    page.paste(cup.resize((331, 221), Image.Resampling.LANCZOS), (90, 77))
    place = align(cup, page)
    assert place.same and error(place.found, (90, 77, 421, 298)) < 0.3


def test_a_stretched_picture_is_the_same(cup):
    place = align(cup, cup.resize((300, 260)))
    assert place.same and error(place.mine, (0, 0, *cup.size)) < 0.2


def test_darker_and_flatter_tones_do_not_matter(cup):
    assert align(cup, cup.point([round(30 + 0.6 * value) for value in range(256)] * 3)).likeness > 0.99


@pytest.mark.parametrize("name", ["chelsea.jpg", "rocket.jpg"])
def test_another_picture_is_not_the_same(cup, source, name):
    assert not align(cup, Image.open(source / name).convert("RGB")).same


@pytest.mark.parametrize("size", [(1, 1), (3, 400), (400, 3), (40, 40)])
def test_pictures_without_content_are_not_the_same(cup, size):
    assert not align(cup, Image.new("RGB", size, "grey")).same
    assert not align(Image.new("RGB", size, "grey"), cup).same


def test_thumbnails_of_a_part_are_alike(cup, source):
    whole, part, other = (
        image.resize((image.width // 5, image.height // 5)).convert("L")
        for image in (cup, cup.crop((80, 0, 347, 267)), Image.open(source / "chelsea.jpg"))
    )
    assert rough_likeness(part, whole) > 0.9 > rough_likeness(other, whole)
    assert np.isfinite(rough_likeness(Image.new("L", (5, 5)), whole))
