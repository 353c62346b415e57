"""Crops are torchvision's: the same pixels for a box, and boxes of the same distribution."""

import numpy as np
import pytest
import torch
from PIL import Image

from protect.clip.open_clip_import import open_clip
from protect.verify.countermeasures.random_crop import RandomCrop

open_clip()  # torchvision may need its help

from torchvision.transforms import InterpolationMode, RandomResizedCrop  # noqa: E402
from torchvision.transforms.functional import resized_crop  # noqa: E402

RATIO = (3 / 4, 4 / 3)
SHAPES = [(80, 80), (107, 80), (60, 200)]


def picture(width, height):
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.fixture(autouse=True)
def drawn():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize("shape", SHAPES)
def test_a_box_gives_torchvisions_pixels(shape):
    crop, image = RandomCrop(32, (0.08, 1.0), RATIO), picture(*shape)
    for seed in range(3):
        torch.manual_seed(seed)
        left, top, right, bottom = crop.box(*shape)
        torch.manual_seed(seed)
        expected = resized_crop(
            image, top, left, bottom - top, right - left, [32, 32], InterpolationMode.BICUBIC, antialias=True
        )
        assert np.array_equal(np.asarray(crop(image)), np.asarray(expected))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scale", [(0.9, 1.0), (0.08, 1.0)])
def test_boxes_are_distributed_as_torchvisions(shape, scale):
    crop, image = RandomCrop(32, scale, RATIO), picture(*shape)
    own = [crop.box(*shape) for _ in range(800)]
    others = [RandomResizedCrop.get_params(image, list(scale), list(RATIO)) for _ in range(800)]
    assert all(0 <= left < right <= shape[0] and 0 <= top < bottom <= shape[1] for left, top, right, bottom in own)
    mine = torch.tensor([(t, left, b - t, r - left) for left, t, r, b in own]).double()
    theirs = torch.tensor(others).double()
    error = (mine.var(0) + theirs.var(0)).div(800).sqrt()
    assert ((mine.mean(0) - theirs.mean(0)).abs() <= 4 * error + 1e-9).all()
    assert torch.allclose(mine.std(0), theirs.std(0), rtol=0.2, atol=0.3)


def test_pictures_that_no_crop_fits_give_their_middle():
    crop = RandomCrop(8, (0.9, 1.0), RATIO)
    assert crop.box(400, 10) == (193, 0, 206, 10)
    assert crop.box(10, 400) == (0, 193, 10, 206)
    assert crop(picture(1, 1)).size == (8, 8)
