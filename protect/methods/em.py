"""Error minimisation (Huang et al. 2021) on the contrastive loss: image noise alone, captions untouched."""

from collections.abc import Callable

import torch

from protect.data.window import Window
from protect.methods.fitted import Fitted, Protect
from protect.methods.parts.checkpoint import Checkpoint
from protect.methods.parts.per_image import fit_per_image, per_image_protector
from protect.methods.recipe import Recipe
from protect.methods.start import drawn


def fit(
    window: Window,
    recipe: Recipe,
    device: torch.device,
    report: Callable[[str], None],
    checkpoint: Checkpoint | None = None,
) -> Fitted:
    """The rounds of MEM with no words and no shuffling of captions, so that budgets compare."""
    choice = torch.zeros(len(window), 0, dtype=torch.long)
    return fit_per_image(window, recipe, Fitted(()), choice, False, device, report, checkpoint)


def protector(fitted: Fitted, recipe: Recipe, device: torch.device) -> Protect:
    return per_image_protector(fitted, recipe, device, drawn((), recipe.fit.seed), permute=False)
