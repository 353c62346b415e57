"""Self-attention of open_clip's towers with the same weights and values as torch's own, and faster.

`nn.MultiheadAttention` hands its input projection a transposed view, for which torch takes a batched product with
the weight repeated for each image: on a processor that is several times slower than the one large product here.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SelfAttention(nn.MultiheadAttention):
    """A batch-first MultiheadAttention of one input; parameters have the same names, so weights are exchangeable."""

    def forward(  # type: ignore[override]
        self, query: Tensor, key: Tensor, value: Tensor, need_weights: bool = False, attn_mask: Tensor | None = None
    ) -> tuple[Tensor, None]:
        attended = attend(*self.split(self.project(query)), attn_mask)
        return self.out_proj(attended.transpose(1, 2).flatten(2)), None

    def project(self, x: Tensor) -> Tensor:
        return F.linear(x, self.in_proj_weight, self.in_proj_bias)

    def split(self, projected: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of (batch, length, 3 * width), each (batch, head, length, width of a head)."""
        queries, keys, values = projected.unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        return queries, keys, values


def attend(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Scaled dot-product attention; mask: what is added to the scores, (query, key).

    A processor takes it in plain products where it computes in bf16: torch's kernel for that case needs twice to
    four times as long, forward and back together.
    """
    if queries.device.type == "cpu" and queries.dtype == torch.bfloat16:
        with torch.autocast("cpu", enabled=False):
            scores = (queries * queries.shape[-1] ** -0.5) @ keys.transpose(-2, -1)
            scores = scores if mask is None else scores + mask.to(scores.dtype)
            return scores.softmax(dim=-1) @ values
    return F.scaled_dot_product_attention(queries, keys, values, mask)


def use_self_attention(model: nn.Module) -> None:
    """Makes plain batch-first self-attentions of a model SelfAttentions; in place, weights untouched."""
    for module in model.modules():
        if type(module) is nn.MultiheadAttention and _plain(module):
            module.__class__ = SelfAttention


def _plain(attention: nn.MultiheadAttention) -> bool:
    packed = attention.in_proj_weight is not None and attention.bias_k is None and not attention.add_zero_attn
    return bool(packed and attention.batch_first and not attention.dropout)
