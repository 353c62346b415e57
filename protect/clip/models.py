"""CLIPs by name: which library builds them, at which size, from which weights; and how they are trained."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from protect.clip import hugging_face as hugging_face_towers
from protect.clip import open_clip_model as open_clip_towers
from protect.clip.device import autocast_type as autocast_type
from protect.clip.device import choose_device as choose_device
from protect.clip.dual_encoder import DualEncoder as DualEncoder
from protect.clip.dual_encoder import token_rows as token_rows
from protect.clip.hugging_face import HuggingFace as HuggingFace
from protect.clip.open_clip_model import OpenClip as OpenClip
from protect.clip.tiny import TINY as TINY

AUTO = {"cpu": ("tiny-resnet", "tiny-vit"), "gpu": ("RN50", "ViT-B-32")}


def load_encoder(
    name: str,
    device: torch.device,
    pretrained: str | None = None,
    size: int | None = None,
    seed: int = 0,
    scratch: bool = False,
) -> DualEncoder:
    """A surrogate by name, randomly initialised from `seed` unless weights are named.

    name: tiny-resnet, tiny-vit, an open_clip model, a Hugging Face folder, or auto (the first of AUTO). A folder
    brings its weights; from `scratch` it brings its architecture and tokenizer only.
    Raises ValueError for names and weights that do not exist.
    """
    name = families([name], device)[0]
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        if Path(name).is_dir():
            return hugging_face_towers.from_folder(Path(name), device, scratch, size)
        return OpenClip(name, device, pretrained, size)


def optimizer(model: nn.Module, learning_rate: float, weight_decay: float) -> torch.optim.Optimizer:
    """AdamW that decays matrices only: no norms, biases or the logit scale."""
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=learning_rate, fused=True)


def image_size(names: Sequence[str], device: torch.device, size: int | None) -> int:
    """Side of the views that all of these surrogates take; ValueError when they differ and `size` does not say."""
    if size:
        return size
    sizes = {name: own_size(name) for name in families(names, device)}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"size: expected one for all surrogates, got {sizes}; say --size")
    return next(iter(sizes.values()))


def own_size(name: str) -> int:
    """Side of the images that a model takes when none is asked for; ValueError for names that do not exist."""
    if Path(name).is_dir():
        return hugging_face_towers.own_size(Path(name))
    return open_clip_towers.own_size(name)


def families(names: Sequence[str], device: torch.device) -> tuple[str, ...]:
    """The surrogates by name: auto stands for one of each family, full-size on a GPU, tiny on a CPU."""
    auto = AUTO["cpu" if device.type == "cpu" else "gpu"]
    return tuple(known for name in names for known in (auto if name == "auto" else (name,)))
