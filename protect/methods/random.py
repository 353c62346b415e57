"""Unoptimised noise and words of the same size: what a protection must be better than."""

from collections.abc import Callable

import torch

from protect.data.window import Window
from protect.methods.fitted import Fitted, Protect
from protect.methods.parts.budget import Budget, to_int8
from protect.methods.parts.trigger import draw_choice, words_of
from protect.methods.parts.wordlist import draw_alphabet
from protect.methods.recipe import Recipe
from protect.seeds import generator
from protect.types import Batch, Protection


def fit(window: Window, recipe: Recipe, device: torch.device, report: Callable[[str], None]) -> Fitted:
    """Draws the alphabet; there is nothing to learn."""
    return Fitted(draw_alphabet(recipe.trigger.trigger_words or 0, recipe.trigger.alphabet, recipe.fit.seed))


def protector(fitted: Fitted, recipe: Recipe, device: torch.device) -> Protect:
    """Each image its own noise of full epsilon and uniform sign, and words, drawn from its key."""
    seed, epsilon = recipe.fit.seed, recipe.noise.epsilon
    budget = Budget(epsilon)

    def protect(batch: Batch) -> Protection:
        signs = [
            torch.randint(0, 2, batch.images.shape[1:], generator=generator(seed, "noise", key)) for key in batch.keys
        ]
        noise = budget.project(batch.images, (torch.stack(signs) * 2.0 - 1) * epsilon)
        choice = draw_choice(batch.keys, fitted.alphabet, seed)
        return Protection(batch.keys, to_int8(noise), words_of(fitted.alphabet, choice))

    return protect
