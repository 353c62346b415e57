"""Text features without gradient and without waste: no padding, no row twice, shared beginnings once.

A causal tower gives equal beginnings equal keys and values; `ragged.py` computes what is left of each row.
"""

from typing import Any, TypeGuard

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from protect.clip.dual_encoder import DualEncoder
from protect.clip.fast import ragged
from protect.clip.fast.ragged import Layout, Seen, ends_of, seen_of
from protect.clip.fast.row_parallel import by_rows, parts_for, run_parallel
from protect.clip.open_clip_model import OpenClip
from protect.types import Features, Tokens

TOKENS = 2048  # computed at a time, at most: what a layer makes of them stays in a processor's cache
LEAST = 256  # tokens that are worth a thread of their own
GPU_TOKENS = 1 << 17


@torch.no_grad()
def text_features(surrogate: DualEncoder, tokens: Tokens, shared: Int[Tensor, " batch"] | None = None) -> Features:
    """`surrogate.text(tokens)`, up to rounding. shared: how many first tokens of a row others are likely to share."""
    if not is_causal(surrogate):
        return surrogate.text(tokens)
    lengths = tokens.argmax(dim=-1) + 1  # the end token has the largest id
    begins = torch.zeros_like(lengths) if shared is None else shared.to(lengths.device)
    there = torch.arange(tokens.shape[1], device=tokens.device) < lengths[:, None]
    described = torch.cat([begins[:, None], lengths[:, None], tokens * there], dim=1)
    rows, inverse = described.unique(dim=0, return_inverse=True)  # in order of their beginnings and lengths
    with surrogate.precision():
        features = _features(surrogate, rows[:, 2:], rows[:, 0], rows[:, 1])
    return F.normalize(features.float(), dim=-1)[inverse]


def text_from(surrogate: DualEncoder, embeddings: Float[Tensor, "batch length width"], tokens: Tokens) -> Features:
    """`surrogate.text_from(embeddings, tokens)` of a frozen surrogate, with gradient."""
    parts = _parts_for(tokens.numel(), tokens.device) if is_causal(surrogate) else 1
    return by_rows(surrogate.text_from, embeddings, tokens, parts=parts)


def is_causal(surrogate: DualEncoder) -> TypeGuard[OpenClip]:
    """Whether the text tower is one of open_clip's plain causal ones."""
    return isinstance(surrogate, OpenClip) and ragged.is_causal(surrogate.text_model)


def _features(surrogate: OpenClip, rows: Tokens, begins: Tensor, lengths: Tensor) -> Tensor:
    """Features, not yet of unit length."""
    seen: Seen = ()
    text, owner = surrogate.text_model, None
    if begins.any():
        first = torch.arange(rows.shape[1], device=rows.device) < begins[:, None]
        described, owner = torch.cat([begins[:, None], rows * first], dim=1).unique(dim=0, return_inverse=True)
        layout = Layout(torch.zeros_like(described[:, 0]), described[:, 0])
        seen = seen_of(text, _embedded(text, described[:, 1:], layout), layout)

    def features_of(part: Tensor) -> Tensor:
        layout = Layout(begins[part], (lengths - begins)[part])
        x = _embedded(text, rows[part], layout)
        return ends_of(text, x, layout, seen, None if owner is None else owner[part])

    return torch.cat(run_parallel(features_of, _parts(lengths - begins), rows.device))


def _parts(own: Tensor) -> list[Tensor]:
    """Row numbers in order, in parts of about as many tokens."""
    before, total = own.cumsum(0) - own, int(own.sum())
    part = before * _parts_for(total, own.device) // total
    return [(part == number).nonzero().squeeze(1) for number in part.unique().tolist()]


def _parts_for(tokens: int, device: torch.device) -> int:
    return parts_for(tokens, LEAST, TOKENS if device.type == "cpu" else GPU_TOKENS, device)


def _embedded(text: Any, rows: Tokens, layout: Layout) -> Tensor:
    """The tokens of the layout, one after another."""
    row = layout.filled // layout.there.shape[1]
    embedded = F.embedding(rows[row, layout.places], text.token_embedding.weight)
    return embedded + text.positional_embedding[layout.places]
