"""Low-rank additions (LoRA, by peft) on a student's towers, and folding them into its weights."""

import torch

from protect.clip.low_rank import low_rank
from protect.seeds import derive
from protect.settings.unlearn import UnlearnSettings
from protect.unlearn.head import Clip


def add_lora(student: Clip, settings: UnlearnSettings) -> None:
    """Freezes the student's towers and adds trainable matrices beside their linear and convolution layers.

    The student's own modules are changed in place. Raises ImportError without peft.
    """
    model = student.towers.model
    config = low_rank(model, settings.rank, "unlearn")
    from peft import get_peft_model

    with torch.random.fork_rng():
        torch.manual_seed(derive(settings.seed, "lora"))
        student.towers.model = get_peft_model(model, config)


def fold_lora(student: Clip) -> None:
    """The student's plain towers again, with what the additions learned in their weights."""
    student.towers.model = student.towers.model.merge_and_unload()
