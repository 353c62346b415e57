"""Noise enlarged to the photo's size comes back through the attacker's resize, within the budget."""

import numpy as np
import pytest
from PIL import Image

from protect.data.views import PANORAMA, room, see, sides, view_around
from protect.methods.parts.oriented_bands import amplified
from protect.publish.pixels import with_noise
from protect.publish.upsample import at_full_size, enlarge, grid, reduce, sharpen, stretched, upsample


def signs(size: int, epsilon: int = 8, seed: int = 0) -> np.ndarray:
    return (epsilon * np.random.default_rng(seed).choice([-1, 1], (3, size, size))).astype(np.int8)


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


@pytest.mark.parametrize(
    ("size", "height", "width", "least"),
    [
        (64, 375, 500, 0.98),
        (64, 500, 375, 0.98),
        (64, 1500, 2000, 0.98),
        (224, 400, 500, 0.97),
        (224, 240, 320, 0.93),
        (64, 64, 200, 0.999),
        (64, 50, 70, 0.7),
    ],
)
def test_the_attackers_resize_brings_the_noise_back(size, height, width, least, bring_back):
    noise = signs(size)
    change = upsample(noise, height, width, 8)
    assert change.shape == (height, width, 3) and change.dtype == np.float32
    assert np.abs(change).max() <= 8
    assert correlation(bring_back(change, size), noise) > least
    assert correlation(bring_back(np.rint(change), size), noise) > least


def test_another_noise_does_not_come_back(bring_back):
    assert abs(correlation(bring_back(upsample(signs(64), 375, 500, 8), 64), signs(64, seed=1))) < 0.05


@pytest.mark.parametrize(("height", "width"), [(375, 500), (640, 480), (130, 97)])
def test_without_a_budget_the_frame_comes_back_nearly_whole(height, width):
    down, across = sides(height, width, 64)
    frame = np.random.default_rng(0).choice([-8, 8], (down.span, across.span)).astype(np.float32)
    back = reduce(enlarge(sharpen(frame, down, across), down, across), down, across)
    blurred = reduce(enlarge(frame, down, across), down, across)
    inner = np.s_[4:-4, 4:-4]
    assert correlation(back[inner], frame[inner]) > 0.98
    assert np.square(back - frame)[inner].mean() < 0.3 * np.square(blurred - frame)[inner].mean()


def test_even_noise_stays_even():
    down, across = sides(150, 200, 64)
    even = np.full((down.span, across.span), 5, np.float32)
    assert np.allclose(enlarge(sharpen(even, down, across), down, across), 5, atol=1e-4)


def test_channels_that_are_one_array_are_enlarged_once():
    noise = signs(16)[:1]
    image = Image.new("RGB", (50, 40))
    same = at_full_size(image, np.broadcast_to(noise, (3, 16, 16)), 8)
    assert same.shape == (40, 50, 1)
    assert np.array_equal(np.repeat(same, 3, axis=2), at_full_size(image, np.repeat(noise, 3, axis=0), 8))


def test_same_size_gives_exactly_the_noise():
    np.testing.assert_array_equal(upsample(signs(64), 64, 64, 8).transpose(2, 0, 1), signs(64))


def test_noise_beyond_the_budget_is_clipped_once_and_for_all():
    loud = np.full((3, 16, 16), -128, np.int8)
    assert np.abs(upsample(loud, 40, 50, 4)).max() <= 4
    np.testing.assert_array_equal(upsample(signs(16, 100), 40, 50, 4), upsample(signs(16, 4), 40, 50, 4))


def test_the_pattern_goes_on_outside_the_crop():
    change = upsample(signs(16), 16, 40, 8)
    np.testing.assert_array_equal(change[:, 12:28].transpose(2, 0, 1), signs(16))
    np.testing.assert_array_equal(change[:, 28:40], change[:, 12:24])
    np.testing.assert_array_equal(change[:, :12], change[:, 16:28])


@pytest.mark.parametrize(("height", "width"), [(16, 40), (40, 16), (16, 16), (16, 41)])
def test_noise_made_for_the_whole_frame_goes_on_as_it_is(height, width):
    wide = signs(room(height, width, 16))
    change = upsample(wide, height, width, 8, size=16)
    edge = (wide.shape[-1] - 16) // 2
    top, left = (edge - side.crop for side in sides(height, width, 16))
    np.testing.assert_array_equal(change.transpose(2, 0, 1), wide[:, top : top + height, left : left + width])


def test_the_middle_of_a_wider_noise_is_what_comes_back(bring_back):
    wide = signs(room(375, 500, 64))
    edge = (len(wide[0]) - 64) // 2
    back = bring_back(upsample(wide, 375, 500, 8, size=64), 64)
    assert correlation(back, wide[:, edge : edge + 64, edge : edge + 64]) > 0.98


def test_noise_smaller_than_the_crop_is_refused():
    with pytest.raises(ValueError, match="expected at least the crop of 32 pixels, got 16"):
        upsample(signs(16), 40, 50, 8, size=32)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 3000), (3000, 2), (8, 2000)])
def test_extreme_shapes(height, width, bring_back):
    change = upsample(signs(32), height, width, 8)
    assert change.shape == (height, width, 3) and np.isfinite(change).all() and np.abs(change).max() <= 8
    assert bring_back(change, 32).shape == (3, 32, 32)


def test_a_panoramas_middle_is_protected(bring_back):
    change = upsample(signs(32), 100, 2000, 8)
    assert PANORAMA < 2000 / 100
    assert correlation(bring_back(change, 32), signs(32)) > 0.98


@pytest.mark.parametrize(("height", "width"), [(375, 500), (500, 375), (224, 500), (64, 64), (30, 47), (255, 256)])
def test_see_resizes_and_crops_like_torchvision(height, width):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))
    short, long = min(height, width), max(height, width)
    stretched = int(64 * long / short)
    size = (64, stretched) if width <= height else (stretched, 64)
    left, top = round((size[0] - 64) / 2.0), round((size[1] - 64) / 2.0)
    expected = image.resize(size, Image.Resampling.BICUBIC).crop((left, top, left + 64, top + 64))
    assert see(image, 64).tobytes() == expected.tobytes()


def test_a_panorama_is_seen_as_if_the_whole_frame_was_made():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 301, 3), dtype=np.uint8))
    whole = image.resize((481, 32), Image.Resampling.BICUBIC)
    left = round((481 - 32) / 2)
    expected = np.asarray(whole.crop((left, 0, left + 32, 32))).astype(int)
    assert np.abs(np.asarray(see(image, 32)).astype(int) - expected).max() <= 1


def test_the_reduction_is_the_attackers_resize(bring_back):
    down, across = sides(130, 100, 32)
    change = np.random.default_rng(0).normal(size=(130, 100)).astype(np.float32)
    crop = reduce(change, down, across)[down.crop : down.crop + 32, across.crop : across.crop + 32]
    np.testing.assert_allclose(crop, bring_back(change[..., None], 32)[0], atol=1e-5)


@pytest.mark.parametrize(
    "noise", [np.zeros((3, 4, 5), np.int8), np.zeros((3, 4, 4), np.float64), np.zeros((4, 4), np.int8)]
)
def test_bad_noise_is_refused(noise):
    with pytest.raises(ValueError, match="expected int8 or float32 CxNxN, got"):
        upsample(noise, 10, 10, 8)


def test_noise_of_a_large_photo_comes_back_from_a_coarse_grid(bring_back):
    noise = np.random.default_rng(3).choice(np.array([-8, 8], np.int8), (3, 32, 32))
    height, width = grid(400, 600, 32)
    assert (height, width) == (128, 192)
    strips = stretched(upsample(noise, height, width, 8), 400, 600, rows=90)
    whole = np.concatenate([strip for _, strip in strips])
    back = bring_back(np.clip(np.rint(whole), -8, 8), 32)
    assert whole.shape == (400, 600, 3)
    assert np.corrcoef(back.ravel(), noise.ravel())[0, 1] > 0.97


def test_a_small_photo_is_its_own_grid():
    assert grid(100, 120, 32) == (100, 120)
    plane = np.random.default_rng(0).normal(size=(10, 12, 3)).astype(np.float32)
    (top, strip), *rest = stretched(plane, 10, 12)
    assert (top, rest) == (0, []) and np.allclose(strip, plane, atol=1e-5)


@pytest.mark.parametrize("rows", [1, 7, 64, 1000])
def test_strips_have_no_seams(rows):
    plane = np.random.default_rng(0).normal(size=(20, 30, 2)).astype(np.float32)
    whole = next(stretched(plane, 130, 171, 1000))[1]
    strips = list(stretched(plane, 130, 171, rows))
    assert [top for top, _ in strips] == list(range(0, 130, rows))
    assert np.allclose(np.concatenate([strip for _, strip in strips]), whole, atol=1e-4)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (80, 64), (48, 97), (300, 200), (90, 300)])
def test_around_the_crop_lies_the_rest_of_the_frame(height, width):
    """The middle is the attacker's square; beside it is what noise of that size falls on, in its place."""
    size = 48
    coarse = Image.fromarray(np.random.default_rng(0).integers(0, 256, (6, 6, 3), np.uint8))
    image = coarse.resize((width, height), Image.Resampling.BICUBIC)
    around, side = view_around(image, size), room(height, width, size)
    assert around.shape == (side, side, 3) and around.dtype == np.uint8
    edge = (side - size) // 2
    middle = around[edge : edge + size, edge : edge + size]
    assert np.array_equal(middle, np.asarray(see(image, size)))
    noise = around.transpose(2, 0, 1).astype(np.float32) / 255 * 8  # a noise that is the picture itself
    upsampled = upsample(noise, height, width, 8, size=size)
    assert correlation(upsampled, np.asarray(image, np.float32)) > 0.95


def test_beyond_the_frame_the_picture_is_mirrored():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 96, 3), np.uint8))
    around = view_around(image, 48)
    assert around.shape == (96, 96, 3)
    assert np.array_equal(around[24:72], np.asarray(image))
    assert np.array_equal(around[23], around[24]) and np.array_equal(around[0], around[47])


def test_a_panoramas_middle_is_seen_around_its_crop():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 480, 3), np.uint8))
    around = view_around(image, 48)
    assert around.shape == (4 * 48, 4 * 48, 3)
    assert np.array_equal(around[72:120, 72:120], np.asarray(see(image, 48)))


@pytest.mark.parametrize(("height", "width"), [(74, 80), (90, 90), (100, 140), (400, 300)])
def test_smooth_noise_comes_back_as_strong_from_its_own_grid(height, width, bring_back):
    random = np.random.default_rng(0)
    noise = amplified(random.normal(128, 20, (64, 64)).astype(np.float32), (1, 6), 12.0, 0.7, random)
    plane = np.clip(np.rint(noise), -8, 8).astype(np.int8)
    image = Image.new("RGB", (width, height), (128, 128, 128))
    change = at_full_size(image, np.broadcast_to(plane, (3, 64, 64)), 8, coarse=True)
    assert change.shape[2] == 1 and min(change.shape[:2]) == 64
    moved = np.asarray(with_noise(image, change, 8)).astype(np.float32) - 128
    back = bring_back(moved, 64)[0]
    assert np.abs(moved).max() <= 8
    assert correlation(back, plane) > 0.95
    assert 0.8 < (back * plane).sum() / np.square(plane.astype(float)).sum() < 1.15


def test_a_panorama_has_no_grid_of_its_own():
    noise = signs(32)
    image = Image.new("RGB", (2000, 100))
    assert at_full_size(image, noise, 8, coarse=True).shape == (100, 2000, 3)
