"""Frozen weights in bf16, laid out once as a processor's products want them: torch casts and lays out at every call.

The products are oneDNN's, by the names under which torch's own compiler calls them.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

HALF = torch.bfloat16
ROWS, PICTURES = (
    1024,
    16,
)  # what weights are laid out for: always the same, so that order changes no result
OPERATORS = ("_linear_pointwise", "_reorder_linear_weight", "_convolution_pointwise", "_reorder_convolution_weight")
SUPPORTED = "_is_mkldnn_bf16_supported"

Places = tuple[list[int], list[int]]  # padding and stride


def can_pack() -> bool:
    """Whether this torch has the products and the processor computes them."""
    known = torch.backends.mkldnn.is_available() and all(
        hasattr(torch.ops.mkldnn, name) for name in (*OPERATORS, SUPPORTED)
    )
    return bool(known and getattr(torch.ops.mkldnn, SUPPORTED)())


class PackedLinear:
    """A linear layer whose gradient reaches its input alone."""

    def __init__(self, weight: Float[Tensor, "out in"], bias: Float[Tensor, " out"] | None) -> None:
        half = weight.detach().to(HALF)
        self.weight = torch.ops.mkldnn._reorder_linear_weight(half.contiguous(), ROWS)
        self.back = torch.ops.mkldnn._reorder_linear_weight(half.T.contiguous(), ROWS)
        self.bias = None if bias is None else bias.detach().to(HALF)

    def __call__(self, x: Tensor) -> Tensor:
        return _Linear.apply(x.to(HALF), self)

    def with_gelu(self, x: Tensor) -> Tensor:
        """GELU of the product, in one pass; without gradient."""
        return _linear(x.to(HALF), self.weight, self.bias, "gelu")


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, packed: PackedLinear) -> Tensor:  # type: ignore[override]
        ctx.packed = packed
        return _linear(x, packed.weight, packed.bias)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return _linear(gradient, ctx.packed.back, None), None


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None, then: str = "none") -> Tensor:
    algorithm = "none" if then == "gelu" else ""
    return torch.ops.mkldnn._linear_pointwise(x.contiguous(), weight, bias, then, [], algorithm)


class PackedConvolution:
    """A convolution with its batch norm folded in, forwards and back to its input; built at its first picture."""

    def __init__(self, convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
        mean, variance = norm.running_mean, norm.running_var
        assert mean is not None and variance is not None
        scale = (norm.weight * (variance + norm.eps).rsqrt()).detach()
        weight = (convolution.weight.detach() * scale[:, None, None, None]).to(HALF)
        self.weight = weight.contiguous(memory_format=torch.channels_last)
        self.bias = (norm.bias - mean * scale).detach().to(HALF)
        self.places = [int(side) for side in convolution.padding], list(convolution.stride)
        self._ahead: Tensor | None = None
        self._back: Tensor | None = None

    def __call__(self, x: Tensor, then: str = "none") -> Tensor:
        """The convolution; then: "relu" or "none"."""
        return _convolved(x, self._forwards(x), self.bias, self.places, then)

    def added(self, x: Tensor, other: Tensor) -> Tensor:
        """ReLU of the convolution plus `other`."""
        return _added(x, other, self._forwards(x), self.bias, self.places, "relu")

    def backwards(self, gradient: Tensor, shape: torch.Size, other: Tensor | None = None) -> Tensor:
        """The gradient by an input of this shape, plus `other`; for a stride of 1 it is a convolution itself."""
        if self.places[1] != [1, 1]:
            return self._strided_back(gradient, shape)
        if self._back is None:
            turned = self.weight.flip(2, 3).transpose(0, 1).contiguous(memory_format=torch.channels_last)
            self._back = _lay_out(turned, self.places, gradient)
        if other is not None:
            return _added(gradient, other, self._back, None, self.places, None)
        return _convolved(gradient, self._back, None, self.places, "none")

    def _forwards(self, x: Tensor) -> Tensor:
        if self._ahead is None:
            self._ahead = _lay_out(self.weight, self.places, x)
        return self._ahead

    def _strided_back(self, gradient: Tensor, shape: torch.Size) -> Tensor:
        image = gradient.new_empty(shape).contiguous(memory_format=torch.channels_last)  # only its shape is read
        padding, stride = self.places
        rest = ([1, 1], False, [0, 0], 1, [True, False, False])
        return torch.ops.aten.convolution_backward(gradient, image, self.weight, None, stride, padding, *rest)[0]


def _lay_out(weight: Tensor, places: Places, x: Tensor) -> Tensor:
    padding, stride = places
    shape = [PICTURES, *x.shape[1:]]
    return torch.ops.mkldnn._reorder_convolution_weight(weight, padding, stride, [1, 1], 1, shape)


def _convolved(x: Tensor, weight: Tensor, bias: Tensor | None, places: Places, then: str) -> Tensor:
    padding, stride = places
    return torch.ops.mkldnn._convolution_pointwise(x, weight, bias, padding, stride, [1, 1], 1, then, [], "")


def _added(x: Tensor, other: Tensor, weight: Tensor, bias: Tensor | None, places: Places, then: str | None) -> Tensor:
    padding, stride = places
    return torch.ops.mkldnn._convolution_pointwise.binary(
        x, other, weight, bias, padding, stride, [1, 1], 1, "add", 1.0, then, [], None
    )


def halve(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 2)


def unhalve(gradient: Tensor) -> Tensor:
    """The gradient of `halve`, for sides that are even."""
    return F.interpolate(gradient / 4, scale_factor=2, mode="nearest")
