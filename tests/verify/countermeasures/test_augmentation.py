import numpy as np
import pytest
import torch
from PIL import Image

from protect.verify.countermeasures.augmentation import VIEWS
from protect.verify.reading.pairs import centre

RAMP = np.stack(np.broadcast_arrays(np.arange(60)[:, None] * 4, np.arange(80) * 3, 128), axis=2).astype(np.uint8)
PICTURE = Image.fromarray(RAMP)


def drawn(name, seed, count=1):
    view = VIEWS[name](32)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return [np.asarray(view(PICTURE)).astype(int) for _ in range(count)]


@pytest.mark.parametrize("name", VIEWS)
def test_views_have_the_training_size_and_follow_torchs_generator(name):
    first, again = drawn(name, 0, 3), drawn(name, 0, 3)
    assert all(view.shape == (32, 32, 3) for view in first)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    random = any(not np.array_equal(a, b) for a, b in zip(first, drawn(name, 1, 3), strict=True))
    assert random == (name != "none")


def test_none_is_clips_own_centre_crop():
    assert np.array_equal(drawn("none", 0)[0], np.asarray(centre(PICTURE, 32)))


def shares(views):
    """Part of the picture's height that each view of the ramp shows."""
    return [(view[..., 0].max() - view[..., 0].min()) / 240 for view in views]


def test_open_clips_crops_keep_nearly_all_and_strong_ones_may_keep_little():
    mild, strong = shares(drawn("openclip", 0, 40)), shares(drawn("strong", 0, 40))
    assert min(mild) > 0.75
    assert min(strong) < 0.5


def test_strong_views_are_mirrored_half_of_the_time_and_change_colours():
    views = drawn("strong", 0, 60)
    mirrored = sum(view[:, 0, 1].mean() > view[:, -1, 1].mean() for view in views)
    assert 15 < mirrored < 45
    assert np.std([view[..., 2].mean() for view in views]) > 10
    assert np.std([view[..., 2].mean() for view in drawn("openclip", 0, 20)]) < 1
