"""Packed surrogates have the features and input gradients of plain ones, for as long as they are packed."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from protect.clip.fast.packed import HALF, PackedConvolution, PackedLinear, can_pack, halve, unhalve
from protect.clip.losses import clip_loss
from protect.clip.models import load_encoder
from protect.clip.pack import PACKED, pack, unpack

TEXTS = ("a dog", "two cats on a chair", "rain", "the old man and the sea")
pytestmark = pytest.mark.skipif(not can_pack(), reason="hardware: this processor has no bf16 products")


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(params=["tiny-resnet", "tiny-vit"])
def surrogate(request):
    surrogate = load_encoder(request.param, torch.device("cpu"), size=32, seed=3).train()
    with torch.no_grad():
        for name, value in surrogate.model.named_parameters():
            if "bn" in name or "downsample.1" in name:  # norms that do something
                value.copy_(torch.rand(value.shape, generator=torch.Generator().manual_seed(len(name))) + 0.5)
        for _ in range(20):
            surrogate.images(images())
    surrogate.autocast_type = torch.bfloat16
    return surrogate.eval().requires_grad_(False)


def images():
    return torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def answer(surrogate):
    """Features of pictures and texts, and the loss's gradient by the pixels and by the words."""
    x, tokens = images().requires_grad_(), surrogate.rows([surrogate.encode(text) for text in TEXTS])
    embeddings = surrogate.embed(tokens).detach().requires_grad_()
    pictures, texts = surrogate.images(x), surrogate.text_from(embeddings, tokens)
    return pictures, texts, *torch.autograd.grad(clip_loss(pictures, texts, surrogate.scale), (x, embeddings))


def distances(found, expected):
    pairs = zip(found, expected, strict=True)
    return [1 - F.cosine_similarity(a.flatten(), b.flatten(), dim=0).item() for a, b in pairs]


def is_packed(surrogate):
    return any(name in module.__dict__ for module in surrogate.model.modules() for name in PACKED)


def test_packed_it_answers_as_before_and_no_less_exactly(surrogate):
    surrogate.autocast_type = None
    exact = answer(surrogate)
    surrogate.autocast_type = torch.bfloat16
    plain = answer(surrogate)
    pack(surrogate)
    assert is_packed(surrogate)
    packed = answer(surrogate)
    for mine, its in zip(distances(packed, exact), distances(plain, exact), strict=True):
        assert mine < max(0.01, 1.2 * its)
    with torch.no_grad():  # another way through the layers
        assert torch.allclose(surrogate.images(images()), packed[0], atol=0.02)
    unpack(surrogate)
    assert not is_packed(surrogate)
    assert all(torch.equal(a, b) for a, b in zip(answer(surrogate), plain, strict=True))


def test_packing_again_sees_what_was_learned_since(surrogate):
    pack(surrogate)
    before = surrogate.images(images())
    with torch.no_grad():
        for value in surrogate.model.parameters():
            value.add_(0.1 * draw(*value.shape))
    pack(surrogate)
    packed = surrogate.images(images())
    unpack(surrogate)
    assert (surrogate.images(images()) * packed).sum(dim=1).min() > 0.98
    assert (before * packed).sum(dim=1).min() < 0.9


def test_an_answer_does_not_depend_on_the_size_of_the_first_batch(surrogate):
    pack(surrogate)
    first = answer(surrogate)
    pack(surrogate)
    surrogate.images(images()[:1].requires_grad_()).sum().backward()
    assert all(torch.equal(a, b) for a, b in zip(answer(surrogate), first, strict=True))


def test_norms_in_training_still_see_the_batch(surrogate):
    pack(surrogate.train())
    norms = [module for module in surrogate.model.modules() if isinstance(module, nn.BatchNorm2d)]
    counts = [int(norm.num_batches_tracked) for norm in norms]
    packed = surrogate.images(images())
    unpack(surrogate)
    assert (packed * surrogate.images(images())).sum(dim=1).min() > 0.98
    assert norms and [int(norm.num_batches_tracked) for norm in norms] == [count + 2 for count in counts]


def test_in_fp32_nothing_is_packed(surrogate):
    surrogate.autocast_type = None
    pack(surrogate)
    assert not is_packed(surrogate)


@pytest.mark.parametrize("bias", [True, False])
def test_linear_layers(bias):
    layer, x = nn.Linear(24, 40, bias=bias), draw(2, 5, 24).to(HALF).requires_grad_()
    packed = PackedLinear(layer.weight, layer.bias)
    expected, found = layer(x.float()), packed(x)
    assert torch.allclose(found.float(), expected, atol=0.02)
    assert torch.allclose(packed.with_gelu(x).float(), F.gelu(expected), atol=0.02)
    gradients = [torch.autograd.grad(y.float().square().sum(), x)[0].float() for y in (found, expected)]
    assert torch.allclose(*gradients, atol=0.1)


@pytest.mark.parametrize(("side", "stride"), [(1, 1), (3, 1), (3, 2)])
def test_convolutions_with_their_norms(side, stride):
    convolution = nn.Conv2d(8, 16, side, stride, side // 2, bias=False)
    norm = nn.BatchNorm2d(16)
    norm(draw(9, 16, 4, 4) * 2 + 1)
    norm.eval()
    x = draw(2, 8, 6, 6, seed=1).to(HALF).contiguous(memory_format=torch.channels_last).requires_grad_()
    packed, expected = PackedConvolution(convolution, norm), norm(convolution(x.float()))
    assert torch.allclose(packed(x.detach()).float(), expected, atol=0.03)
    assert torch.allclose(packed(x.detach(), "relu").float(), expected.relu(), atol=0.03)
    other = draw(*expected.shape, seed=2).to(HALF).contiguous(memory_format=torch.channels_last)
    assert torch.allclose(packed.added(x.detach(), other).float(), (expected + other).relu(), atol=0.05)
    (wanted,) = torch.autograd.grad((expected * other.float()).sum(), x)
    assert torch.allclose(packed.backwards(other, x.shape).float(), wanted.float(), atol=0.05)
    if stride == 1:
        both = packed.backwards(other, x.shape, x.detach())
        assert torch.allclose(both.float(), (wanted + x).float().detach(), atol=0.05)


def test_halving_and_back():
    x = draw(2, 3, 4, 6).requires_grad_()
    y = halve(x)
    assert torch.allclose(unhalve(y.detach()), torch.autograd.grad(y, x, y.detach())[0])
