"""LoRA by peft (Hu et al. 2021, arXiv 2106.09685): which layers of a network take low-rank additions."""

from typing import Any

from torch import nn

from protect.clip.open_clip_import import open_clip
from protect.data.optional import missing


def low_rank(model: nn.Module, rank: int, extra: str) -> Any:
    """peft's settings for additions beside the linear and convolution layers of a network.

    Raises ImportError that names the extra without peft.
    """
    try:
        open_clip()  # peft imports transformers' models, which need torchvision
        from peft import LoraConfig
    except ImportError as error:
        raise missing("lora", extra) from error
    targets = [name for name, module in model.named_modules() if _fits(name, module, model)]
    return LoraConfig(r=rank, lora_alpha=rank, lora_dropout=0.0, target_modules=targets)


def _fits(name: str, module: nn.Module, model: nn.Module) -> bool:
    """Layers whose forward is called: attention reads the weights of its own output layer directly.

    Convolutions of another class are left alone: peft would make layers of that class, by its own constructor.
    """
    if isinstance(module, nn.Conv2d):
        return type(module) is nn.Conv2d and module.groups == 1
    above = model.get_submodule(name.rpartition(".")[0])
    return isinstance(module, nn.Linear) and not isinstance(above, nn.MultiheadAttention)
