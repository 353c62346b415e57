"""Layers that compute what is read alone have the values and gradients of the whole ones, and unusual ones stay."""

import copy

import pytest
import torch

from protect.clip.fast.attention import use_self_attention
from protect.clip.fast.patch_embedding import PatchEmbedding, use_patch_products
from protect.clip.fast.pooling import FirstTokenBlock, OneQueryPool, use_last_layers
from protect.clip.open_clip_import import open_clip
from protect.clip.tiny import TINY, _tiny_model


def pair(name, **vision):
    """A model as open_clip makes it, and the same one with our layers."""
    config = TINY[name] | {"vision_cfg": TINY[name]["vision_cfg"] | vision}
    plain = open_clip().CLIP(**config) if vision else _tiny_model(name, "", 32)
    mine = copy.deepcopy(plain)
    use_self_attention(mine)
    use_patch_products(mine)
    use_last_layers(mine)
    return plain.visual, mine.visual


def answers(tower, size):
    x = torch.rand(3, 3, size, size, generator=torch.Generator().manual_seed(0)).requires_grad_()
    y = tower(x)
    y.sin().sum().backward()
    return y.detach(), x.grad, {name: value.grad for name, value in tower.named_parameters()}


@pytest.mark.parametrize(
    ("name", "size", "vision", "layer"),
    [
        ("tiny-resnet", 32, {}, OneQueryPool),
        ("tiny-vit", 32, {}, FirstTokenBlock),
        ("tiny-vit", 32, {"image_size": 32, "patch_size": 16}, PatchEmbedding),
        ("tiny-vit", 35, {"image_size": 35, "patch_size": 16}, PatchEmbedding),  # a rest that no patch covers
    ],
)
def test_values_and_gradients_are_those_of_the_whole_layers(name, size, vision, layer):
    plain, mine = pair(name, **vision)
    assert any(type(module) is layer for module in mine.modules())
    (y, by_pixels, by_weights), (wanted, its, all_of_it) = (
        answers(tower, size) for tower in (mine.eval(), plain.eval())
    )
    assert torch.allclose(y, wanted, atol=1e-5) and torch.allclose(by_pixels, its, atol=1e-5)
    for weight, gradient in by_weights.items():
        if gradient is None:  # the bias of a key adds the same to every score
            assert weight == "attnpool.k_proj.bias" and all_of_it[weight].abs().max() < 1e-5
        else:
            assert torch.allclose(gradient, all_of_it[weight], atol=1e-4), weight


@pytest.mark.parametrize("vision", [{"pool_type": "avg"}, {"output_tokens": True}, {"attentional_pool": True}])
def test_towers_that_read_more_keep_their_layers(vision):
    _, mine = pair("tiny-vit", image_size=32, **vision)
    assert not any(type(module) in (FirstTokenBlock, OneQueryPool) for module in mine.modules())


def test_convolutions_that_overlap_stay_convolutions():
    layer = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, stride=2), torch.nn.Conv2d(4, 4, 1), torch.nn.Conv2d(4, 4, 2)
    )
    use_patch_products(layer)
    assert all(type(module) is torch.nn.Conv2d for module in layer)
