"""Text features without waste are the surrogate's own, whatever is shared, equal or cut."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from protect.clip.fast.attention import SelfAttention, attend, use_self_attention
from protect.clip.models import load_encoder
from protect.clip.text_features import is_causal, text_features

CAPTIONS = ("a dog", "a dog", "two cats on a red chair", "", "a dog runs", "many small words " * 40)


@pytest.fixture(scope="module")
def tiny():
    surrogate = load_encoder("tiny-resnet", torch.device("cpu"), size=32, seed=3).eval().requires_grad_(False)
    surrogate.autocast_type = None
    return surrogate


@pytest.fixture(scope="module")
def tokens(tiny):
    return tiny.rows([tiny.encode(caption) for caption in CAPTIONS])


@pytest.mark.parametrize("shared", [None, (0,) * 6, (1,) * 6, (1, 2, 3, 1, 3, 60), (0, 2, 0, 1, 3, 5)])
def test_features_are_those_of_the_surrogate(tiny, tokens, shared):
    found = text_features(tiny, tokens, None if shared is None else torch.tensor(shared))
    assert torch.allclose(found, tiny.text(tokens), atol=1e-5)
    assert torch.allclose(found.norm(dim=1), torch.ones(6))


def test_cut_into_parts_they_are_the_same(tiny, tokens, monkeypatch):
    whole = text_features(tiny, tokens, torch.ones(6, dtype=torch.long))
    monkeypatch.setattr("protect.clip.text_features.TOKENS", 3)
    assert torch.allclose(text_features(tiny, tokens, torch.ones(6, dtype=torch.long)), whole, atol=1e-6)


def test_equal_rows_and_shared_beginnings_are_computed_once(tiny, monkeypatch):
    counted = []
    linear = F.linear

    def count(x, weight, bias=None):
        counted.append(x.shape[:-1].numel())
        return linear(x, weight, bias)

    rows = torch.cat([tiny.rows([tiny.encode("one two three")])] * 4)
    rows[1, 3], rows[2, 3] = 7, 8  # the last two stay alike; all begin with the same three tokens
    monkeypatch.setattr(F, "linear", count)
    text_features(tiny, rows, torch.full((4,), 3))
    assert counted[0] == 3  # the beginning, first layer
    assert max(counted[1:]) == 3 * 2  # three different rows of two own tokens


def test_no_padding_is_computed_not_even_where_the_tower_learns(tiny, tokens, monkeypatch):
    counted, linear = [], F.linear
    monkeypatch.setattr(F, "linear", lambda x, *rest: counted.append(x.shape[:-1].numel()) or linear(x, *rest))
    tiny.text(tokens)
    real = int((tokens.argmax(dim=1) + 1).sum())
    assert max(counted) == real < tokens.numel()


def test_gradients_of_words_are_those_of_whole_rows(tiny, tokens):
    embeddings = tiny.embed(tokens).detach().requires_grad_()
    ours = F.normalize(tiny.text_from(embeddings, tokens), dim=-1)
    text, length = tiny.text_model, tokens.shape[1]
    x = text.transformer(embeddings + text.positional_embedding[:length], attn_mask=text.attn_mask[:length, :length])
    whole = text.ln_final(x)[torch.arange(len(tokens)), tokens.argmax(dim=-1)] @ text.text_projection
    whole = F.normalize(whole, dim=-1)
    assert torch.allclose(ours, whole, atol=1e-5)
    gradients = [torch.autograd.grad(y.sin().sum(), embeddings)[0] for y in (ours, whole)]
    assert torch.allclose(*gradients, atol=1e-5)


def test_no_gradient_is_kept(tiny, tokens):
    for parameter in tiny.parameters():
        parameter.requires_grad_(True)
    assert not text_features(tiny, tokens).requires_grad
    tiny.requires_grad_(False)


def test_other_towers_compute_by_themselves(tiny, tokens, monkeypatch):
    monkeypatch.setattr(type(tiny.text_model), "attn_mask", None, raising=False)
    mask = tiny.text_model._buffers.pop("attn_mask")
    try:
        assert not is_causal(tiny)
        assert torch.equal(text_features(tiny, tokens), tiny.text(tokens))
    finally:
        monkeypatch.undo()
        tiny.text_model.register_buffer("attn_mask", mask, persistent=False)
    assert is_causal(tiny)


@pytest.mark.parametrize("masked", [False, True])
def test_attention_has_torchs_values_and_gradients(masked):
    torch_own = nn.MultiheadAttention(16, 4, batch_first=True)
    own = nn.MultiheadAttention(16, 4, batch_first=True)
    own.load_state_dict(torch_own.state_dict())
    use_self_attention(own)
    assert type(own) is SelfAttention and own.state_dict().keys() == torch_own.state_dict().keys()
    mask = torch.full((5, 5), -torch.inf).triu(1) if masked else None
    inputs = [torch.linspace(-1, 1, 3 * 5 * 16).view(3, 5, 16).requires_grad_() for _ in range(2)]
    outputs = [
        m(x, x, x, need_weights=False, attn_mask=mask)[0] for m, x in zip((torch_own, own), inputs, strict=True)
    ]
    assert torch.allclose(*outputs, atol=1e-6)
    gradients = [torch.autograd.grad(y.sin().sum(), x)[0] for y, x in zip(outputs, inputs, strict=True)]
    assert torch.allclose(*gradients, atol=1e-5)


@pytest.mark.parametrize("masked", [False, True])
def test_attention_in_bf16_has_the_values_and_gradients_of_fp32(masked):
    random = torch.Generator().manual_seed(0)
    exact = [torch.randn(2, 3, 7, 16, generator=random).requires_grad_() for _ in range(3)]
    half = [part.detach().bfloat16().requires_grad_() for part in exact]
    mask = torch.full((7, 7), -torch.inf).triu(1) if masked else None
    expected = F.scaled_dot_product_attention(*exact, mask)
    with torch.autocast("cpu", torch.bfloat16):
        found = attend(*half, mask)
    assert found.dtype == torch.bfloat16
    assert torch.allclose(found.float(), expected, atol=0.03)
    gradients = [torch.autograd.grad(y.float().sin().sum(), parts) for y, parts in ((found, half), (expected, exact))]
    for mine, torchs in zip(*gradients, strict=True):
        assert mine.dtype == torch.bfloat16
        assert F.cosine_similarity(mine.float().flatten(), torchs.flatten(), dim=0) > 0.999


def test_features_in_bf16_are_those_of_the_surrogate(tiny, tokens, monkeypatch):
    monkeypatch.setattr(tiny, "autocast_type", torch.bfloat16)
    found = text_features(tiny, tokens, torch.tensor((1, 2, 3, 1, 3, 60)))
    assert (found * tiny.text(tokens)).sum(dim=1).min() > 0.99


@pytest.mark.parametrize("options", [{"dropout": 0.1}, {"batch_first": False}, {"add_zero_attn": True}, {"kdim": 8}])
def test_unusual_attentions_stay_torchs(options):
    attention = nn.MultiheadAttention(16, 4, **({"batch_first": True} | options))
    use_self_attention(attention)
    assert type(attention) is nn.MultiheadAttention
