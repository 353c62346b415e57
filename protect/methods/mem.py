"""Multi-step Error Minimization (MEM, ACM MM 2024): image noise and trigger words against one contrastive loss.

min over surrogate, noise and words of the CLIP loss of (image + noise, words + caption), |noise| <= epsilon; every
image has a noise and words of its own.
"""

from collections.abc import Callable

import torch

from protect.data.window import Window
from protect.methods.fitted import Fitted, Protect
from protect.methods.parts.budget import Budget
from protect.methods.parts.error_min import Minimiser
from protect.methods.parts.noise import SampleWise
from protect.methods.parts.per_image import fitted_per_image, per_image_protector
from protect.methods.parts.trigger import draw_choice
from protect.methods.parts.wordlist import draw_alphabet
from protect.methods.recipe import Recipe


def fit(window: Window, recipe: Recipe, device: torch.device, report: Callable[[str], None]) -> Fitted:
    """Rounds of surrogate steps, word steps (HotFlip) and noise steps with captions permuted (MEM section 3)."""
    trigger, seed = recipe.trigger, recipe.fit.seed
    alphabet = draw_alphabet(trigger.trigger_words or 0, trigger.alphabet, seed)
    choice = draw_choice(window.keys, alphabet, seed)
    noise = SampleWise(window, Budget(recipe.noise.epsilon))
    surrogate = Minimiser(window, recipe, alphabet, choice, noise, True, device, report).run()
    return fitted_per_image(surrogate, alphabet, window, choice, recipe)


def protector(fitted: Fitted, recipe: Recipe, device: torch.device) -> Protect:
    return per_image_protector(fitted, recipe, device, permute=True)
