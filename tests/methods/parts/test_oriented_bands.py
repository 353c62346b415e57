"""Texture by direction: what a band holds, that loud ones are louder and others quieter, and what pictures share."""

import numpy as np
import pytest

from protect.methods.parts.oriented_bands import DIRECTIONS, FAINT, PERIOD, amplified, textures

SIZE, EDGE = 64, 12
ALL = range(DIRECTIONS)


def lines(direction, height=SIZE, width=SIZE, strength=20.0):
    """A picture of straight lines, PERIOD pixels from one to the next."""
    angle = np.pi * direction / DIRECTIONS
    down, across = np.mgrid[:height, :width]
    turns = (np.sin(angle) * down + np.cos(angle) * across) / PERIOD
    return (128 + strength * np.cos(2 * np.pi * turns)).astype(np.float32)


def noisy(seed=0, spread=20.0, shape=(SIZE, SIZE)):
    return (128 + spread * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def energy(picture):
    """Mean square of the modulus, away from the borders."""
    return np.array([np.mean(np.abs(texture[EDGE:-EDGE, EDGE:-EDGE]) ** 2) for texture in textures(picture)])


def changed(picture, directions, amplify=16.0, attenuate=0.3, seed=1):
    return amplified(picture, directions, amplify, attenuate, np.random.default_rng(seed))


@pytest.mark.parametrize("direction", ALL)
def test_lines_are_heard_in_their_own_direction(direction):
    found = energy(lines(direction))
    assert found.argmax() == direction
    assert found[direction] == pytest.approx(20.0**2, rel=0.15)  # the modulus is the amplitude
    assert np.delete(found, direction).max() < 0.2 * found[direction]


def test_a_flat_picture_has_no_texture():
    assert energy(np.full((SIZE, SIZE), 77.0, np.float32)).max() < 1e-6


def test_the_real_part_is_what_the_picture_holds():
    picture = lines(3)
    held = list(textures(picture))[3].real
    assert np.corrcoef(held.ravel(), picture.ravel())[0, 1] > 0.97


@pytest.mark.parametrize("said", [(0,), (2, 7), (1, 4, 9)])
def test_said_directions_become_louder_and_all_others_quieter(said):
    picture = noisy()
    ratio = energy(picture + changed(picture, said)) / energy(picture)
    near = {(direction + step) % DIRECTIONS for direction in said for step in (-1, 1)}
    assert min(ratio[list(said)]) > 2
    assert max(ratio[[d for d in ALL if d not in said and d not in near]]) < 1


def test_nothing_is_hushed_where_nothing_is_asked():
    picture = noisy()
    assert not changed(picture, (), attenuate=0.0).any()
    ratio = energy(picture + changed(picture, (), attenuate=0.3)) / energy(picture)
    assert ratio.max() < 0.85


def test_flat_areas_change_little():
    picture = noisy()
    picture[:, : SIZE // 2] = 128
    moved = np.abs(changed(picture, (2, 5)))
    assert moved[:, 4 : SIZE // 2 - 12].mean() < 0.5 * moved[:, SIZE // 2 + 4 :].mean()
    flat = changed(np.full((SIZE, SIZE), 128, np.float32), (2, 5))
    assert 0 < np.abs(flat).mean() < 16.0 * 2 / FAINT  # the grain alone is heard there, and is below 2


def test_lines_stay_where_they_were():
    picture = lines(4)
    change = changed(picture, (4,), attenuate=0.0)
    assert np.corrcoef(change.ravel(), (picture - 128).ravel())[0, 1] > 0.9


def test_pictures_share_no_line():
    mean = np.mean([changed(noisy(seed), (3,), seed=seed) for seed in range(200)], axis=0)
    assert np.abs(mean).mean() < 0.15 * np.abs(changed(noisy(), (3,))).mean()


def test_the_same_picture_and_grain_give_the_same_change_and_another_grain_another():
    picture = np.full((SIZE, SIZE), 128, np.float32)
    assert np.array_equal(changed(picture, (1,)), changed(picture, (1,)))
    assert not np.array_equal(changed(picture, (1,)), changed(picture, (1,), seed=2))


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (5, 41), (224, 16), (97, 131)])
def test_every_shape_can_be_had(shape):
    change = changed(noisy(shape=shape), (0, 6))
    assert change.shape == shape and change.dtype == np.float32 and np.isfinite(change).all()
