"""Last layers that compute the one token that is read: the class token of a ViT, the mean token of a ResNet's pool.

With one query a row, keys and values need not be made: q·(K x) = (Kᵀq)·x and Σ a V x = V (Σ a x). The key's bias adds
the same to every score of a query and so changes nothing.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from protect.clip.fast.attention import SelfAttention


class FirstTokenBlock(nn.Module):
    """The last of open_clip's residual attention blocks where only the first token is read; the rest is left out."""

    attn: SelfAttention
    ln_1: nn.Module
    ln_2: nn.Module
    ls_1: nn.Module
    ls_2: nn.Module
    mlp: nn.Module

    def forward(self, q_x: Tensor, attn_mask: None = None) -> Tensor:
        heads, seen = self.attn.num_heads, self.ln_1(q_x)
        query, key, value = self.attn.in_proj_weight.unflatten(0, (3, heads, -1))
        query_bias, _, value_bias = self.attn.in_proj_bias.unflatten(0, (3, heads, -1))
        attended = attend_once(seen, query, key, value, query_bias, value_bias)
        own = q_x[:, 0] + self.ls_1(self.attn.out_proj(attended))
        return (own + self.ls_2(self.mlp(self.ln_2(own))))[:, None]


class OneQueryPool(nn.Module):
    """open_clip's AttentionPool2d, whose mean token alone is read."""

    positional_embedding: Tensor
    num_heads: int
    q_proj: nn.Linear
    k_proj: nn.Linear
    v_proj: nn.Linear
    c_proj: nn.Linear

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat([x.mean(dim=1, keepdim=True), x], dim=1) + self.positional_embedding.to(x.dtype)
        weights = [part.weight.unflatten(0, (self.num_heads, -1)) for part in (self.q_proj, self.k_proj, self.v_proj)]
        biases = [part.bias.unflatten(0, (self.num_heads, -1)) for part in (self.q_proj, self.v_proj)]
        return self.c_proj(attend_once(x, *weights, *biases))


def attend_once(
    x: Float[Tensor, "batch length width"],
    query: Float[Tensor, "head part width"],
    key: Float[Tensor, "head part width"],
    value: Float[Tensor, "head part width"],
    query_bias: Float[Tensor, "head part"],
    value_bias: Float[Tensor, "head part"],
) -> Float[Tensor, "batch width"]:
    """What the first token of each row finds in its row, heads side by side."""
    wanted = torch.einsum("bw,hpw->bhp", x[:, 0], query) + query_bias
    wanted = torch.einsum("bhp,hpw->bhw", wanted * query.shape[1] ** -0.5, key)
    scores = wanted @ x.transpose(1, 2).to(wanted.dtype)
    pooled = scores.softmax(dim=-1).to(wanted.dtype) @ x.to(wanted.dtype)
    return (torch.einsum("bhw,hpw->bhp", pooled, value) + value_bias).flatten(1)


def use_last_layers(model: nn.Module) -> None:
    """Gives a model's image tower a last layer that computes what is read; in place, weights untouched."""
    visual: Any = getattr(model, "visual", None)
    if _pools_by_attention(visual):
        visual.attnpool.__class__ = OneQueryPool
    elif _reads_first_token(visual):
        visual.transformer.resblocks[-1].__class__ = FirstTokenBlock


def is_plain_block(block: Any) -> bool:
    """Whether a layer is open_clip's residual attention block on a SelfAttention."""
    from open_clip.transformer import ResidualAttentionBlock

    return type(block) is ResidualAttentionBlock and type(block.attn) is SelfAttention


def _pools_by_attention(visual: Any) -> bool:
    from open_clip.modified_resnet import AttentionPool2d

    return type(getattr(visual, "attnpool", None)) is AttentionPool2d


def _reads_first_token(visual: Any) -> bool:
    from open_clip.transformer import VisionTransformer

    plain = type(visual) is VisionTransformer and visual.attn_pool is None and not visual.output_tokens
    return plain and visual.pool_type == "tok" and is_plain_block(visual.transformer.resblocks[-1])
