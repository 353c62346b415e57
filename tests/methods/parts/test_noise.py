"""The signed-gradient loop and the noise of each image that it moves."""

from dataclasses import replace

import pytest
import torch

from protect.data.window import Window
from protect.methods.mem_settings import ErrorMinSettings
from protect.methods.parts.budget import Budget, to_int8
from protect.methods.parts.noise import SampleWise
from protect.methods.parts.pgd import descend

SIZE = 8
LOOP = ErrorMinSettings(step_size=1.0, steps=8)


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
    settings = ErrorMinSettings(step_size=0.7, steps=20)
    noise = descend(lambda n: (n * slope).sum(), torch.zeros_like(slope), project(images, epsilon), settings)
    assert noise.abs().max() <= epsilon
    assert to_int8(noise).abs().max() == int(epsilon)


def test_noise_of_an_image_is_stored_in_bytes_and_lowers_the_loss():
    images, rows = eight_bit(), torch.tensor([2, 0])
    window = window_of(images)
    made, slope = SampleWise(window, Budget(2.5)), draw(2, 3, SIZE, SIZE, seed=1) - 0.5
    made.improve(rows, images[rows], lambda x: (x * slope).sum(), LOOP)
    noise = made.of(rows, images[rows])
    assert window.stored_noise().path.stat().st_size == 4 * 3 * SIZE * SIZE  # single bytes
    assert torch.equal(noise, noise.round())
    assert noise.abs().max() == 2
    assert (noise * slope).sum() < 0
    assert not window.noise(torch.tensor([1, 3])).any()


def test_noise_of_an_image_goes_on_from_what_is_stored():
    images, rows = eight_bit(2), torch.arange(2)
    made, slope = SampleWise(window_of(images), Budget(8.0)), draw(2, 3, SIZE, SIZE, seed=1) - 0.5
    for expected in (3, 6, 8, 8):
        made.improve(rows, images, lambda x: (x * slope).sum(), replace(LOOP, steps=3))
        assert made.of(rows, images).abs().max() == expected
