"""The signed-gradient loop and the two things it moves."""

from dataclasses import replace

import pytest
import torch

from protect.data.window import Window
from protect.methods.parts.budget import Budget, to_int8
from protect.methods.parts.noise import PerImage, PerWord, compose, tiles
from protect.methods.parts.pgd import descend
from protect.settings.recipe import NoiseSettings

SIZE = 8
LOOP = NoiseSettings(step_size=1.0, steps=8)


def draw(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def eight_bit(rows=4, seed=0):
    return (draw(rows, 3, SIZE, SIZE, seed=seed) * 255).round() / 255


def window_of(images):
    window = Window(SIZE, len(images))
    for number, image in enumerate(images):
        window.add(str(number), (image * 255).round().byte().numpy(), ["caption"])
    return window


def project(images, epsilon):
    return lambda noise: Budget(epsilon).project(images, noise)


def test_each_step_moves_every_pixel_by_one_step_downhill():
    noise = descend(lambda n: (n**2).sum(), torch.tensor([5.0, -3.0, 0.5]), lambda n: n, replace(LOOP, steps=1))
    assert noise.tolist() == [4.0, -2.0, -0.5]
    assert not noise.requires_grad


def test_descend_lowers_a_loss_and_leaves_its_start_alone():
    images, start = eight_bit(), torch.zeros(4, 3, SIZE, SIZE)
    target = draw(4, 3, SIZE, SIZE, seed=1) * 10 - 5

    def loss(noise):
        return ((noise - target) ** 2).mean()

    losses = [
        loss(descend(loss, start, project(images, 8.0), replace(LOOP, steps=steps))).item() for steps in (1, 2, 5)
    ]
    assert loss(start).item() > losses[0] > losses[1] > losses[2]
    assert not start.any()


def test_linear_loss_ends_in_the_corner_of_the_ball():
    images, slope = torch.full((2, 3, SIZE, SIZE), 128 / 255), draw(2, 3, SIZE, SIZE) - 0.5
    noise = descend(lambda n: (n * slope).sum(), torch.zeros_like(slope), project(images, 8.0), LOOP)
    assert torch.equal(noise, -8 * slope.sign())


@pytest.mark.parametrize("epsilon", [0.0, 0.4, 2.5, 7.9])
def test_fractional_epsilon_is_kept(epsilon):
    images, slope = eight_bit(), draw(4, 3, SIZE, SIZE, seed=1) - 0.5
    settings = NoiseSettings(epsilon=epsilon, step_size=0.7, steps=20)
    noise = descend(lambda n: (n * slope).sum(), torch.zeros_like(slope), project(images, epsilon), settings)
    assert noise.abs().max() <= epsilon
    assert to_int8(noise).abs().max() == int(epsilon)


def test_compose_is_the_sum_of_the_chosen_patterns():
    patterns = draw(3, 5, 3, SIZE, SIZE) - 0.5
    choice = torch.tensor([[0, 4, 2], [3, 3, 3], [0, 4, 1], [2, 0, 2]])
    expected = torch.stack([sum(patterns[p, s] for p, s in enumerate(row)) for row in choice.tolist()])
    assert torch.allclose(compose(patterns, choice), expected)


def test_compose_has_the_gradient_of_indexing():
    choice = torch.tensor([[0, 1], [0, 2], [3, 1]])
    weights = draw(3, 3, SIZE, SIZE, seed=1)
    composed, indexed = (draw(2, 4, 3, SIZE, SIZE).requires_grad_() for _ in range(2))
    (compose(composed, choice) * weights).sum().backward()
    (indexed[torch.arange(2), choice].sum(dim=1) * weights).sum().backward()
    assert torch.allclose(composed.grad, indexed.grad)
    assert not composed.grad[0, 1].any()  # a word nobody carries


@pytest.mark.parametrize(("positions", "size"), [(1, 8), (3, 8), (3, 10), (4, 31)])
def test_tiles_fill_their_own_band_with_full_epsilon(positions, size):
    patterns = tiles(positions, 6, size, 8.0, torch.Generator().manual_seed(0))
    rows = patterns.abs().amax(dim=(1, 2, 4))  # (position, height)
    assert patterns.shape == (positions, 6, 3, size, size)
    assert set(rows.unique().tolist()) <= {0.0, 8.0}
    assert (rows > 0).sum(dim=0).tolist() == [1] * size  # each row of pixels belongs to one position
    assert all((rows[p] > 0).any() for p in range(positions))
    every = patterns.abs().sum(dim=0)
    assert torch.equal(every, torch.full_like(every, 8.0))


def test_tiles_repeat_differ_between_words_and_follow_the_generator():
    first, again, other = (tiles(2, 4, 16, 8.0, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(first[0, :, :, :4, :4], first[0, :, :, :4, 4:8])
    assert len({pattern.numpy().tobytes() for pattern in first[0]}) == 4


def test_noise_of_an_image_is_kept_in_bytes_and_lowers_the_loss():
    images, rows, choice = eight_bit(), torch.tensor([2, 0]), torch.zeros(2, 0, dtype=torch.long)
    window = window_of(images)
    carrier, slope = PerImage(window, Budget(2.5)), draw(2, 3, SIZE, SIZE, seed=1) - 0.5
    carrier.improve(rows, images[rows], choice, lambda x: (x * slope).sum(), LOOP)
    noise = carrier.noise(rows, images[rows], choice)
    assert window.kept().path.stat().st_size == 4 * 3 * SIZE * SIZE  # single bytes
    assert torch.equal(noise, noise.round())
    assert noise.abs().max() == 2
    assert (noise * slope).sum() < 0
    assert not window.noise(torch.tensor([1, 3])).any()


def test_noise_of_an_image_goes_on_from_what_is_kept():
    images, rows, choice = eight_bit(2), torch.arange(2), torch.zeros(2, 0, dtype=torch.long)
    carrier, slope = PerImage(window_of(images), Budget(8.0)), draw(2, 3, SIZE, SIZE, seed=1) - 0.5
    for expected in (3, 6, 8, 8):
        carrier.improve(rows, images, choice, lambda x: (x * slope).sum(), replace(LOOP, steps=3))
        assert carrier.noise(rows, images, choice).abs().max() == expected


def test_patterns_of_words_learn_from_all_their_images_and_keep_the_budget():
    images, choice = eight_bit(4), torch.tensor([[0, 1], [0, 2], [0, 1], [1, 2]])
    carrier, slope = PerWord(torch.zeros(2, 4, 3, SIZE, SIZE), Budget(8.0)), draw(4, 3, SIZE, SIZE, seed=1) - 0.5
    carrier.improve(torch.arange(4), images, choice, lambda x: (x * slope).sum(), replace(LOOP, steps=30))
    assert torch.equal(carrier.patterns[0, 0], -8 * slope[:3].sum(dim=0).sign())
    assert torch.equal(carrier.patterns[1, 2], -8 * (slope[1] + slope[3]).sign())
    assert not carrier.patterns[0, 2:].any() and not carrier.patterns[1, 0].any()
    noise = carrier.noise(torch.arange(4), images, choice)
    changed = images * 255 + noise
    assert noise.abs().max() <= 8 and changed.min() >= 0 and changed.max() <= 255
