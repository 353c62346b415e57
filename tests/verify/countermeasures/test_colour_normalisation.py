"""Pictures look alike at a glance afterwards; what they show stays."""

import numpy as np
import pytest
import torch
from PIL import Image

from protect.methods.parts.image_stats import image_attributes
from protect.verify.countermeasures import COUNTERMEASURES, STANDARD
from protect.verify.countermeasures.colour_normalisation import MEAN, SPREAD, normalised

ROW = COUNTERMEASURES["colour-normalisation"]


def scene(seed, shape=(48, 64)):
    """A smooth picture with a colour, a brightness and a slope of its own."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (4, 4, 3), np.uint8))
    return coarse.resize(shape[::-1], Image.Resampling.BICUBIC)


def looks(pictures):
    return image_attributes(torch.stack([torch.from_numpy(np.array(p)).permute(2, 0, 1) / 255 for p in pictures]))


@pytest.mark.parametrize("shape", [(48, 64), (31, 20)])
def test_no_trait_tells_pictures_apart_any_longer(shape):
    scenes = [scene(seed, shape) for seed in range(12)]
    before, after = looks(scenes).std(0), looks([ROW.picture(s) for s in scenes]).std(0)
    assert (after < 0.35 * before).all()


def test_every_channel_has_the_same_mean_and_spread():
    pixels = np.asarray(normalised(scene(3)), float)
    assert np.abs(pixels.mean((0, 1)) - MEAN).max() < 4 and np.abs(pixels.std((0, 1)) - SPREAD).max() < 8


def test_what_is_shown_stays():
    noisy = np.random.default_rng(0).normal(100, 30, (64, 64, 3)).clip(0, 255).astype(np.uint8)
    after = np.asarray(normalised(Image.fromarray(noisy)), float)
    assert np.corrcoef(noisy.ravel(), after.ravel())[0, 1] > 0.95


def test_a_flat_picture_stays_flat():
    assert np.ptp(np.asarray(normalised(Image.new("RGB", (20, 10), (200, 20, 90))))) == 0


def test_it_is_a_standard_row_judged_on_transformed_pictures():
    assert ROW.name in STANDARD and ROW.transforms_test and ROW.setting is None
