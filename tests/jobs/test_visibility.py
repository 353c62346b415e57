"""Shards are written with the mask and the floor that photos have."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from protect.data.images import decode
from protect.jobs.sample import publish_photo
from protect.settings.publish import PublishSettings

SETTINGS = PublishSettings()


@pytest.fixture
def half_flat(tmp_path):
    """A PNG whose left half is flat and whose right half is texture."""
    pixels = np.full((96, 192, 3), 128, np.uint8)
    pixels[:, 96:] = np.random.default_rng(0).integers(40, 216, (96, 96, 1))
    Image.fromarray(pixels).save(tmp_path / "half.png")
    return decode((tmp_path / "half.png").read_bytes(), 10**6)


def signs(picture, epsilon=8.0):
    height, width = picture.color.shape[:2]
    return np.random.default_rng(1).choice([-epsilon, epsilon], (height, width, 3)).astype(np.float32)


def moved(photo, published):
    change = np.abs(decode(published.data, 10**6).color.astype(int) - photo.color)
    return change[:, :80].mean(), change[:, 112:].mean()


def test_the_mask_spares_what_is_flat(half_flat):
    plain = publish_photo(half_flat, signs(half_flat), 8.0, replace(SETTINGS, mask=False, floor=None))
    masked = publish_photo(half_flat, signs(half_flat), 8.0, replace(SETTINGS, floor=None))
    assert moved(half_flat, plain) == (8.0, 8.0)
    flat, texture = moved(half_flat, masked)
    assert flat < 3 and texture > 7


def test_every_picture_keeps_the_floor(half_flat):
    loud = publish_photo(half_flat, signs(half_flat, 24.0), 24.0, replace(SETTINGS, floor=None))
    kept = publish_photo(half_flat, signs(half_flat, 24.0), 24.0, SETTINGS)
    assert loud.change.ssim < SETTINGS.floor <= kept.change.ssim
    assert kept.scale < 1 and kept.change.linf > 0


def test_published_settings_are_checked():
    with pytest.raises(ValueError, match=r"floor: expected an SSIM of 0 to 1, got 1\.5"):
        PublishSettings(floor=1.5)
