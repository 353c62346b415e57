"""Text features without gradient and without waste: no padding, no row twice, shared beginnings once.

Token rows are sorted by length, equal rows computed once, and what a token may not see is not computed: a causal
tower gives equal beginnings equal keys and values, and in the last layer only the end token is read.
"""

from dataclasses import dataclass
from typing import Any, TypeGuard

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from protect.attention import SelfAttention, attend
from protect.open_clip_towers import OpenClip
from protect.towers import Surrogate
from protect.types import Features, Tokens

TOKENS = 4096  # computed at a time: what a layer makes of them stays in a processor's cache
GPU_TOKENS = 1 << 17

Seen = list[tuple[Tensor, Tensor]]  # keys and values of each layer, (row, head, length, width of a head)


@torch.no_grad()
def text_features(surrogate: Surrogate, tokens: Tokens, shared: Int[Tensor, " batch"] | None = None) -> Features:
    """`surrogate.text(tokens)`, up to rounding. shared: how many first tokens of a row others are likely to share."""
    if not is_causal(surrogate):
        return surrogate.text(tokens)
    lengths = tokens.argmax(dim=-1) + 1  # the end token has the largest id
    shared = torch.zeros_like(lengths) if shared is None else shared.to(lengths.device)
    own = torch.arange(tokens.shape[1], device=tokens.device) < lengths[:, None]
    described = torch.cat([shared[:, None], lengths[:, None], tokens * own], dim=1)
    rows, inverse = described.unique(dim=0, return_inverse=True)
    kinds, kind = rows[:, :2].unique(dim=0, return_inverse=True)
    found: list[Tensor] = []
    for number, (begin, length) in enumerate(kinds.tolist()):  # rows are sorted by these two: order stays
        found.append(_alike(surrogate, rows[kind == number, 2 : 2 + length], begin))
    return F.normalize(torch.cat(found).float(), dim=-1)[inverse]


def is_causal(surrogate: Surrogate) -> TypeGuard[OpenClip]:
    """Whether the text tower is one of open_clip's plain causal ones; the rest are computed by their own code."""
    if not isinstance(surrogate, OpenClip):
        return False
    text = surrogate.text_model
    blocks = text.transformer.resblocks
    return text.attn_mask is not None and all(type(getattr(block, "attn", None)) is SelfAttention for block in blocks)


def _alike(surrogate: OpenClip, rows: Tokens, begin: int) -> Float[Tensor, "row dim"]:
    """Features, not yet of unit length, of rows of one length whose first `begin` tokens may be shared."""
    tower, size = _Tower(surrogate.text_model), GPU_TOKENS if rows.is_cuda else TOKENS
    with surrogate.precision():
        if not begin:
            return torch.cat([tower.features(part) for part in rows.split(max(1, size // rows.shape[1]))])
        beginnings, owner = rows[:, :begin].unique(dim=0, return_inverse=True)
        seen = tower.see(beginnings)
        step = max(1, size // (rows.shape[1] - begin))
        parts = zip(rows[:, begin:].split(step), owner.split(step), strict=True)
        return torch.cat([tower.features(part, seen, own) for part, own in parts])


@dataclass(frozen=True)
class _Tower:
    """open_clip's text model, layer by layer."""

    text: Any

    def see(self, tokens: Tokens) -> Seen:
        """Keys and values of every layer for the beginnings of rows."""
        x, mask, seen = self._embed(tokens, 0), _mask(tokens.shape[1], 0, tokens.device), []
        for block in self.text.transformer.resblocks:
            queries, keys, values = block.attn.split(block.ln_1(x))
            seen.append((keys, values))
            x = _rest(block, x, attend(queries, keys, values, mask))
        return seen

    def features(
        self, tokens: Tokens, seen: Seen | None = None, owner: Int[Tensor, " row"] | None = None
    ) -> Float[Tensor, "row dim"]:
        """Features of rows that end in their last token; `seen[..., owner]` is what stands before each."""
        before = seen[0][0].shape[2] if seen else 0
        x, mask = self._embed(tokens, before), _mask(tokens.shape[1], before, tokens.device)
        blocks = list(self.text.transformer.resblocks)
        for number, block in enumerate(blocks):
            queries, keys, values = block.attn.split(block.ln_1(x))
            if seen:
                keys = torch.cat([seen[number][0][owner], keys], dim=2)
                values = torch.cat([seen[number][1][owner], values], dim=2)
            if block is blocks[-1]:
                x, queries, mask = x[:, -1:], queries[:, :, -1:], mask[-1:]
            x = _rest(block, x, attend(queries, keys, values, mask))
        x = self.text.ln_final(x[:, 0])
        projection = self.text.text_projection
        return projection(x) if isinstance(projection, nn.Linear) else x @ projection

    def _embed(self, tokens: Tokens, begin: int) -> Tensor:
        place = self.text.positional_embedding[begin : begin + tokens.shape[1]]
        return F.embedding(tokens, self.text.token_embedding.weight) + place


def _rest(block: Any, x: Tensor, found: Tensor) -> Tensor:
    """What a layer does after its attention."""
    x = x + block.ls_1(block.attn.merge(found))
    return x + block.ls_2(block.mlp(block.ln_2(x)))


def _mask(length: int, before: int, device: torch.device) -> Float[Tensor, "query key"]:
    """What is added to scores so that a token sees everything before it and itself."""
    return torch.full((length, before + length), -torch.inf, device=device).triu(before + 1)
