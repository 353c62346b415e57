"""The convolutions of open_clip's ResNets while they are frozen: norms folded in, ReLU and sums in the same pass.

Only what the gradient by the input needs is kept: where each ReLU let through.
"""

from typing import Any

import torch
from torch import Tensor

from protect.clip.fast.packed import HALF, PackedConvolution, halve, unhalve


class PackedBlock:
    """A bottleneck block."""

    def __init__(self, block: Any) -> None:
        self.first = PackedConvolution(block.conv1, block.bn1)
        self.second = PackedConvolution(block.conv2, block.bn2)
        self.third = PackedConvolution(block.conv3, block.bn3)
        side = block.downsample
        self.side = None if side is None else PackedConvolution(side[1], side[2])
        self.halves = block.stride == 2

    def __call__(self, x: Tensor) -> Tensor:
        return _Block.apply(x.to(HALF), self)


class _Block(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, block: PackedBlock) -> Tensor:  # type: ignore[override]
        first = block.first(x, "relu")
        second = block.second(first, "relu")
        inner, beside = (halve(second), halve(x)) if block.halves else (second, x)
        output = block.third.added(inner, beside if block.side is None else block.side(beside))
        ctx.save_for_backward(first, second, output)
        ctx.block, ctx.shape = block, x.shape
        return output

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        block, (first, second, output) = ctx.block, ctx.saved_tensors
        gradient = _where(gradient, output)
        inner = block.third.backwards(gradient, _inside(second.shape, block.halves))
        inner = _where(unhalve(inner) if block.halves else inner, second)
        inner = _where(block.second.backwards(inner, first.shape), first)
        beside = gradient
        if block.side is not None:
            beside = block.side.backwards(gradient, _inside(ctx.shape, block.halves))
        return block.first.backwards(inner, ctx.shape, unhalve(beside) if block.halves else beside), None


class PackedStem:
    """The three convolutions before the blocks."""

    def __init__(self, tower: Any) -> None:
        pairs = ((tower.conv1, tower.bn1), (tower.conv2, tower.bn2), (tower.conv3, tower.bn3))
        self.parts = [PackedConvolution(convolution, norm) for convolution, norm in pairs]

    def __call__(self, x: Tensor) -> Tensor:
        return _Stem.apply(x.to(HALF), self)


class _Stem(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, stem: PackedStem) -> Tensor:  # type: ignore[override]
        ctx.stem, ctx.shape, kept = stem, x.shape, []
        for part in stem.parts:
            x = part(x, "relu")
            kept.append(x)
        ctx.save_for_backward(*kept)
        return halve(x)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        kept = ctx.saved_tensors
        gradient = unhalve(gradient)
        for part, after, before in zip(ctx.stem.parts[::-1], kept[::-1], (*kept[-2::-1], None), strict=True):
            gradient = part.backwards(_where(gradient, after), ctx.shape if before is None else before.shape)
        return gradient, None


def _where(gradient: Tensor, after: Tensor) -> Tensor:
    """The gradient where a ReLU let through."""
    gradient = gradient.contiguous(memory_format=torch.channels_last)
    return torch.ops.aten.threshold_backward(gradient, after, 0)


def _inside(shape: torch.Size, halves: bool) -> torch.Size:
    return torch.Size([*shape[:2], shape[2] // 2, shape[3] // 2]) if halves else shape
