"""Packs a frozen surrogate: for a while its layers compute by copies of their weights, cast and laid out once."""

from typing import Any

import torch
from torch import Tensor, nn

from protect.clip.dual_encoder import DualEncoder
from protect.clip.fast.attention import SelfAttention
from protect.clip.fast.packed import PackedLinear, can_pack
from protect.clip.fast.packed_resnet import PackedBlock, PackedStem

PACKED = ("forward", "project", "stem")  # what a module computes by, as its own attribute while it is packed


def pack(surrogate: DualEncoder) -> None:
    """From here to `unpack` gradients reach the surrogate's inputs alone, and its weights must stay what they are.

    Only on a processor that computes in bf16; elsewhere nothing changes. Norms in training stay what they are.
    """
    unpack(surrogate)
    if surrogate.device.type != "cpu" or surrogate.autocast_type != torch.bfloat16 or not can_pack():
        return
    inside = set()
    for module in surrogate.model.modules():
        if _resnet(module) and not module.training:
            module.__dict__["stem"] = PackedStem(module)
        elif _bottleneck(module) and not module.training:
            module.__dict__["forward"] = PackedBlock(module)
        elif type(module) is SelfAttention:
            module.__dict__["project"] = PackedLinear(module.in_proj_weight, module.in_proj_bias)
        elif _perceptron(module):
            module.__dict__["forward"] = PackedPerceptron(module)
            inside |= {module[0], module[2]}
        elif isinstance(module, nn.Linear) and module not in inside:  # torch's own kind in attentions, too
            module.__dict__["forward"] = PackedLinear(module.weight, module.bias)


def unpack(surrogate: DualEncoder) -> None:
    for module in surrogate.model.modules():
        for name in PACKED:
            module.__dict__.pop(name, None)


class PackedPerceptron:
    """Linear, GELU, linear; without gradient the first two are one pass."""

    def __init__(self, layers: Any) -> None:
        first, self.between, last = layers
        self.first, self.last = PackedLinear(first.weight, first.bias), PackedLinear(last.weight, last.bias)

    def __call__(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled() and x.requires_grad:
            return self.last(self.between(self.first(x)))
        return self.last(self.first.with_gelu(x))


def _perceptron(module: nn.Module) -> bool:
    layers = list(module) if isinstance(module, nn.Sequential) else []
    kinds = [type(layer) for layer in layers]
    return kinds == [nn.Linear, nn.GELU, nn.Linear] and layers[1].approximate == "none"


def _resnet(module: Any) -> bool:
    from open_clip.modified_resnet import ModifiedResNet

    return type(module) is ModifiedResNet


def _bottleneck(module: Any) -> bool:
    from open_clip.modified_resnet import Bottleneck

    return type(module) is Bottleneck and module.stride in (1, 2)
