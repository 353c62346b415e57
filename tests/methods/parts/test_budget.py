"""The budget: nothing leaves the ball or the pixel range, and what is simulated is what a file can hold."""

import pytest
import torch

from protect.methods.parts.budget import Budget, to_int8

EPSILONS = (0.0, 0.5, 2.5, 8.0, 127.0)


@pytest.fixture
def every_pixel():
    """Images (2, 3, 16, 16) in which all 256 values occur in every channel."""
    values = torch.arange(256).view(1, 1, 16, 16) / 255
    return torch.cat([values, values.flip(3)]).expand(2, 3, 16, 16).contiguous()


def wild(like, spread=40.0, seed=0):
    return torch.randn(like.shape, generator=torch.Generator().manual_seed(seed)) * spread


@pytest.mark.parametrize("epsilon", EPSILONS)
def test_project_keeps_epsilon_and_pixel_range(every_pixel, epsilon):
    noise = Budget(epsilon).project(every_pixel, wild(every_pixel))
    changed = every_pixel * 255 + noise
    assert noise.abs().max() <= epsilon
    assert changed.min() >= 0 and changed.max() <= 255


@pytest.mark.parametrize("epsilon", EPSILONS)
def test_project_is_idempotent_and_keeps_what_is_allowed(every_pixel, epsilon):
    budget = Budget(epsilon)
    noise = budget.project(every_pixel, wild(every_pixel))
    assert torch.equal(budget.project(every_pixel, noise), noise)
    within = noise / 2
    assert torch.equal(budget.project(every_pixel, within), within)


def test_project_gives_the_nearest_allowed_noise(every_pixel):
    wanted = wild(every_pixel)
    pixels = (every_pixel * 255).round()
    nearest = torch.maximum(torch.minimum(wanted.clamp(-8, 8), 255 - pixels), -pixels)
    assert torch.equal(Budget(8.0).project(every_pixel, wanted), nearest)


def test_no_epsilon_is_no_change(every_pixel):
    budget = Budget(0.0)
    assert not budget.project(every_pixel, wild(every_pixel)).any()
    assert torch.allclose(budget.apply(every_pixel, wild(every_pixel)), every_pixel, atol=1e-6)


@pytest.mark.parametrize("epsilon", EPSILONS)
def test_apply_shows_the_eight_bit_file_that_to_int8_makes(every_pixel, epsilon):
    budget = Budget(epsilon)
    noise = (wild(every_pixel, spread=max(epsilon, 1.0)) * 2).round() / 2  # halves: where rounding could disagree
    stored = to_int8(budget.project(every_pixel, noise))
    applied = budget.apply(every_pixel, noise) * 255
    assert torch.allclose(applied, applied.round(), atol=1e-4)
    assert torch.equal(applied.round(), (every_pixel * 255).round() + stored)
    assert stored.abs().max() <= epsilon


def test_full_noise_reaches_the_end_of_the_pixel_range(every_pixel):
    pixels = (every_pixel * 255).round()
    for sign in (8.0, -8.0):
        stored = to_int8(Budget(8.0).project(every_pixel, torch.full_like(every_pixel, sign)))
        assert torch.equal(pixels + stored, (pixels + sign).clamp(0, 255))


def test_gradient_passes_rounding_and_clips_unchanged(every_pixel):
    noise = wild(every_pixel).requires_grad_()
    weights = wild(every_pixel, seed=1)
    (Budget(8.0).apply(every_pixel, noise) * weights).sum().backward()
    assert torch.allclose(noise.grad, weights / 255)


def test_int8_rounds_to_the_nearest_and_never_leaves_a_fractional_budget(every_pixel):
    assert to_int8(torch.tensor([2.9, -2.9, 0.4, -0.4, 127.0, -127.0])).tolist() == [3, -3, 0, 0, 127, -127]
    assert to_int8(Budget(1.7).project(every_pixel, wild(every_pixel))).abs().max() == 1
