"""Frozen norms have torch's values and gradients, and learn like torch's where they are not frozen."""

import pytest
import torch
from torch import nn

from protect.clip.fast.batch_norm import FrozenNorm, use_frozen_norms


def pair():
    own, torch_own = nn.BatchNorm2d(5), nn.BatchNorm2d(5)
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in own.state_dict().values():
            if value.is_floating_point():
                value.copy_(torch.rand(5, generator=random) + 0.5)
    torch_own.load_state_dict(own.state_dict())
    use_frozen_norms(own)
    return own, torch_own


def run(norm, x):
    x = x.clone().requires_grad_()
    y = norm(x)
    return y, torch.autograd.grad(y.sin().sum(), x)[0]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("learned", [False, True])
def test_values_and_gradients_are_torchs(training, learned):
    x = torch.randn(3, 5, 4, 6, generator=torch.Generator().manual_seed(1)).contiguous(
        memory_format=torch.channels_last
    )
    (y, gradient), (expected, its) = (run(norm.train(training).requires_grad_(learned), x) for norm in pair())
    assert torch.allclose(y, expected, atol=1e-6) and torch.allclose(gradient, its, atol=1e-5)
    assert y.is_contiguous(memory_format=torch.channels_last)


def test_a_norm_in_training_learns_its_averages_and_weights():
    own, torch_own = pair()
    x = torch.randn(4, 5, 3, 3, generator=torch.Generator().manual_seed(2))
    for norm in (own, torch_own):
        norm.train()(x).square().sum().backward()
    assert type(own) is FrozenNorm
    assert torch.equal(own.running_mean, torch_own.running_mean) and torch.equal(
        own.weight.grad, torch_own.weight.grad
    )


def test_norms_without_weights_stay_torchs():
    norm = nn.BatchNorm2d(5, affine=False)
    use_frozen_norms(norm)
    assert type(norm) is nn.BatchNorm2d
