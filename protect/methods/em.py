"""Error minimisation (Huang et al. 2021) on the contrastive loss: image noise alone, captions untouched."""

from collections.abc import Callable

import torch

from protect.data.window import Window
from protect.methods.fitted import Fitted
from protect.methods.parts.budget import Budget
from protect.methods.parts.error_min import Minimiser
from protect.methods.parts.noise import PerImage
from protect.methods.parts.per_image import fitted_per_image, per_image_protector
from protect.settings.recipe import Recipe
from protect.types import Batch, Protection


def fit(window: Window, recipe: Recipe, report: Callable[[str], None]) -> Fitted:
    """The rounds of MEM with no words and no shuffling of captions, so that budgets compare."""
    choice = torch.zeros(len(window), 0, dtype=torch.long)
    carrier = PerImage(window, Budget(recipe.noise.epsilon))
    surrogate = Minimiser(window, recipe, (), choice, carrier, shuffle=False, report=report).run()
    return fitted_per_image(surrogate, (), window, choice, recipe)


def protector(fitted: Fitted, recipe: Recipe) -> Callable[[Batch], Protection]:
    return per_image_protector(fitted, recipe, shuffle=False)
