"""Error minimisation (Huang et al. 2021) on the contrastive loss: image noise alone, captions untouched."""

from collections.abc import Callable

import torch

from protect.batches import Window
from protect.budget import Budget
from protect.methods.frozen import fitted_per_image, per_image_protector
from protect.methods.minimise import Minimiser
from protect.noise import PerImage
from protect.settings import Recipe
from protect.types import Batch, Fitted, Protection


def fit(window: Window, recipe: Recipe, report: Callable[[str], None]) -> Fitted:
    """The rounds of MEM with no words and no shuffling of captions, so that budgets compare."""
    choice = torch.zeros(len(window), 0, dtype=torch.long)
    carrier = PerImage(window, Budget(recipe.noise.epsilon))
    surrogate = Minimiser(window, recipe, (), choice, carrier, shuffle=False, report=report).run()
    return fitted_per_image(surrogate, (), window, choice, recipe)


def protector(fitted: Fitted, recipe: Recipe) -> Callable[[Batch], Protection]:
    return per_image_protector(fitted, recipe, shuffle=False)
