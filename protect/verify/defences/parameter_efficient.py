"""Tuning little of a trained model: what hardly moves can hardly learn a shortcut."""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from protect.clip.models import DualEncoder
from protect.settings.verify import VerifySettings
from protect.verify.defences.base import Defence, StepInputs
from protect.verify.defences.layer_order import image_tower

RANK = 8


class FrozenTower(Defence):
    """The image tower stays as it came, only the text tower learns (Zhai et al. 2022, arXiv 2111.07991)."""

    needs = "pretrained"

    def __init__(self, model: DualEncoder, settings: VerifySettings) -> None:
        super().__init__(model, settings)
        model.eval()
        frozen = {id(parameter.requires_grad_(False)) for parameter in image_tower(model)}
        self.tower = [m for m in model.modules() if any(id(p) in frozen for p in m.parameters(recurse=False))]

    def loss(self, inputs: StepInputs) -> torch.Tensor:
        for module in self.tower:
            module.eval()  # batch statistics are part of what stays
        return super().loss(inputs)


class LowRank(nn.Module):
    """A weight plus a trainable product of two thin matrices, nothing at first (Hu et al. 2021, arXiv 2106.09685)."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        rows, columns = weight.flatten(1).shape
        self.down = nn.Parameter(torch.randn(RANK, columns, device=weight.device) / columns**0.5)
        self.up = nn.Parameter(torch.zeros(rows, RANK, device=weight.device))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + (self.up @ self.down).view(weight.shape)


class Lora(Defence):
    """Everything is frozen but a low-rank change of each weight matrix of both towers (rank 8)."""

    needs = "pretrained"

    def __init__(self, model: DualEncoder, settings: VerifySettings) -> None:
        super().__init__(model, settings)
        model.requires_grad_(False)
        table = model.embedding_table
        for module in list(model.modules()):
            matrices = [(n, p) for n, p in module.named_parameters(recurse=False) if _is_wide(p) and p is not table]
            for name, weight in matrices:
                parametrize.register_parametrization(module, name, LowRank(weight))


def _is_wide(weight: Tensor) -> bool:
    return weight.ndim > 1 and min(weight.flatten(1).shape) > RANK
