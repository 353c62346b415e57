"""Which parameters belong to a tower, in the order in which it uses them; works for any architecture."""

import torch
from torch import nn

from protect.clip.models import DualEncoder
from protect.types import Features


def image_tower(model: DualEncoder) -> list[nn.Parameter]:
    """Trainable parameters of the image tower, shallow to deep."""
    return _in_order(model, model.images(torch.rand(2, 3, model.size, model.size, device=model.device)))


def text_tower(model: DualEncoder) -> list[nn.Parameter]:
    """Trainable parameters of the text tower, shallow to deep."""
    return _in_order(model, model.text(model.rows([(1, 2), (2, 1)])))


def _in_order(model: DualEncoder, features: Features) -> list[nn.Parameter]:
    """Gradients arrive deepest parameter first."""
    arrived: list[nn.Parameter] = []
    parameters = [p for p in model.parameters() if p.requires_grad]
    hooks = [p.register_post_accumulate_grad_hook(arrived.append) for p in parameters]
    try:
        features[:, 0].sum().backward()
    finally:
        for hook in hooks:
            hook.remove()
        model.zero_grad()
    return arrived[::-1]
