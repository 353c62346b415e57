"""The signed-gradient loop, nothing else."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from protect.methods.mem_settings import ErrorMinSettings
from protect.types import Images

Loss = Callable[[Images], Float[Tensor, ""]]


def descend(
    loss: Callable[[Tensor], Tensor],
    noise: Tensor,
    project: Callable[[Tensor], Tensor],
    settings: ErrorMinSettings,
    show: Callable[[Tensor], Tensor] = torch.clone,
) -> Tensor:
    """Lower `loss` by signed gradient steps on the noise, never leaving the budget (PGD; MEM section 3.2).

    show: what the loss sees of the noise; its gradient is taken for the noise's own (straight through).
    """
    for _ in range(settings.steps):
        seen = show(noise).requires_grad_()
        (gradient,) = torch.autograd.grad(loss(seen), seen)
        noise = project(noise - gradient.sign_().mul_(settings.step_size))
    return noise
