"""Low-rank additions (LoRA, by peft) on a student's towers, and folding them into its weights."""

import torch
from torch import nn

from protect.clip.open_clip_import import open_clip
from protect.seeds import derive
from protect.settings.unlearn import UnlearnSettings
from protect.unlearn.head import Clip


def add_lora(student: Clip, settings: UnlearnSettings) -> None:
    """Freezes the student's towers and adds trainable matrices beside their linear and convolution layers.

    The student's own modules are changed in place. Raises ImportError without peft.
    """
    try:
        open_clip()  # peft imports transformers' models, which need torchvision
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise ImportError("lora: expected peft, found none; pip install 'protect-pairs[unlearn]'") from error
    model = student.towers.model
    targets = [name for name, module in model.named_modules() if _fits(name, module, model)]
    config = LoraConfig(r=settings.rank, lora_alpha=settings.rank, lora_dropout=0.0, target_modules=targets)
    with torch.random.fork_rng():
        torch.manual_seed(derive(settings.seed, "lora"))
        student.towers.model = get_peft_model(model, config)


def fold_lora(student: Clip) -> None:
    """The student's plain towers again, with what the additions learned in their weights."""
    student.towers.model = student.towers.model.merge_and_unload()


def _fits(name: str, module: nn.Module, model: nn.Module) -> bool:
    """Layers whose forward is called: attention reads the weights of its own output layer directly."""
    if isinstance(module, nn.Conv2d):
        return module.groups == 1
    above = model.get_submodule(name.rpartition(".")[0])
    return isinstance(module, nn.Linear) and not isinstance(above, nn.MultiheadAttention)
