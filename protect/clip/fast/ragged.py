"""open_clip's causal text tower on captions of unequal length: no padding is computed.

Tokens stand one after another; only attention sees every caption in a row of its own. In the last layer only the end
of each caption is computed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from protect.clip.fast.attention import SelfAttention, attend

Seen = Sequence[tuple[Tensor, Tensor]]  # keys and values of each layer, (row, head, length, width of a head)


@dataclass(frozen=True)
class Layout:
    """Which tokens stand here: of each row those from `begins` on, `own` of them (at least one)."""

    begins: Int[Tensor, " row"]
    own: Int[Tensor, " row"]

    @cached_property
    def there(self) -> Tensor:
        """Which slots of a padded array hold a token, (row, slot)."""
        return torch.arange(int(self.own.max()), device=self.own.device) < self.own[:, None]

    @cached_property
    def filled(self) -> Int[Tensor, " token"]:
        """The slot of each token, rows one after another."""
        return self.there.flatten().nonzero().squeeze(1)

    @cached_property
    def tokens(self) -> Int[Tensor, "row slot"]:
        """The token in each slot; the first one where there is none."""
        return (self.there.flatten().cumsum(0) - 1).view(self.there.shape) * self.there

    @cached_property
    def places(self) -> Int[Tensor, " token"]:
        """Where in its caption each token stands."""
        slots = torch.arange(self.there.shape[1], device=self.own.device)
        return (self.begins[:, None] + slots).flatten()[self.filled]

    @property
    def ends(self) -> Int[Tensor, " row"]:
        """Each row's last token."""
        return self.own.cumsum(0) - 1

    def mask(self) -> Float[Tensor, "row_or_1 1 slot key"]:
        """What is added to scores, so that a token sees what stands before it and itself."""
        before, slots = int(self.begins.max()), self.there.shape[1]
        hidden = torch.ones(slots, before + slots, dtype=torch.bool, device=self.own.device).triu(before + 1)[None]
        if int(self.begins.min()) < before:
            absent = torch.arange(before, device=self.own.device) >= self.begins[:, None]
            hidden = hidden | torch.cat([absent, absent.new_zeros(len(absent), slots)], dim=1)[:, None]
        return torch.zeros(hidden.shape, device=hidden.device).masked_fill(hidden, -torch.inf)[:, None]


def is_causal(text: Any) -> bool:
    """Whether open_clip's text model is a plain causal one; the rest are computed by their own code."""
    from open_clip.transformer import ResidualAttentionBlock

    blocks = text.transformer.resblocks
    plain = all(type(block) is ResidualAttentionBlock and type(block.attn) is SelfAttention for block in blocks)
    return text.attn_mask is not None and plain


def ends_of(
    text: Any,
    x: Float[Tensor, "token width"],
    layout: Layout,
    before: Seen = (),
    owner: Int[Tensor, " row"] | None = None,
) -> Float[Tensor, "row dim"]:
    """Features, not yet of unit length; x: embedded tokens; `before[..., owner]`: what stands before each row."""
    *blocks, last = text.transformer.resblocks
    mask = layout.mask()
    for number, block in enumerate(blocks):
        queries, keys, values = _after(before[number] if before else None, owner, layout, _parts(block, x, layout))
        x = _rest(block, x, attend(queries, keys, values, mask).transpose(1, 2).flatten(2), layout)
    queries, keys, values = _after(before[-1] if before else None, owner, layout, _parts(last, x, layout))
    rows, end = torch.arange(len(layout.own), device=x.device), layout.own - 1
    mask = mask.expand(len(rows), -1, -1, -1)[rows, :, end, None]
    attended = attend(queries[rows, :, end, None], keys, values, mask).flatten(1)
    x = x[layout.ends] + last.ls_1(last.attn.out_proj(attended))
    x = text.ln_final(x + last.ls_2(last.mlp(last.ln_2(x))))
    projection = text.text_projection
    return projection(x) if isinstance(projection, nn.Linear) else x @ projection


def seen_of(text: Any, x: Float[Tensor, "token width"], layout: Layout) -> Seen:
    """Keys and values of every layer."""
    mask, seen = layout.mask(), []
    for block in text.transformer.resblocks:
        queries, keys, values = _parts(block, x, layout)
        seen.append((keys, values))
        x = _rest(block, x, attend(queries, keys, values, mask).transpose(1, 2).flatten(2), layout)
    return seen


def _parts(block: Any, x: Tensor, layout: Layout) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values in padded rows."""
    padded = block.attn.project(block.ln_1(x)).index_select(0, layout.tokens.flatten())  # faster back than [...]
    return block.attn.split(padded.view(*layout.tokens.shape, -1))


def _after(
    before: tuple[Tensor, Tensor] | None, owner: Tensor | None, layout: Layout, parts: tuple[Tensor, Tensor, Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """The parts, with the keys and values of what stands before each row in front."""
    if before is None:
        return parts
    queries, *own = parts
    length = int(layout.begins.max())
    keys, values = (torch.cat([old[owner, :, :length], new], dim=2) for old, new in zip(before, own, strict=True))
    return queries, keys, values


def _rest(block: Any, x: Tensor, attended: Float[Tensor, "row slot width"], layout: Layout) -> Tensor:
    """What a layer does after its attention."""
    x = x + block.ls_1(block.attn.out_proj(attended.flatten(0, 1).index_select(0, layout.filled)))
    return x + block.ls_2(block.mlp(block.ln_2(x)))
