"""One noise for each word, confined to its position's band of the picture: what `mem` moves with share=word."""

from collections.abc import Callable

from torch import Tensor

from protect.methods.fitted import Fitted
from protect.methods.parts.budget import Budget, to_int8
from protect.methods.parts.noise import Patterns, compose, tiles
from protect.methods.parts.trigger import Choice, draw_choice, words_of
from protect.seeds import generator
from protect.settings.recipe import Recipe
from protect.types import Batch, Protection


def draw_patterns(recipe: Recipe, size: int) -> Patterns:
    """A colour tile for each word, from the seed."""
    trigger, seed = recipe.trigger, recipe.fit.seed
    random = generator(seed, "tiles")
    return tiles(trigger.trigger_words, trigger.alphabet, size, Budget(recipe.noise.epsilon).reach, random)


def protector(fitted: Fitted, recipe: Recipe) -> Callable[[Batch], Protection]:
    """An image's noise is the sum of its words' patterns."""
    patterns = fitted.tensors["patterns"]
    return keyed(fitted, recipe, lambda choice, size: compose(patterns, choice))


def keyed(fitted: Fitted, recipe: Recipe, noise_of: Callable[[Choice, int], Tensor]) -> Callable[[Batch], Protection]:
    """An image's words come from its key, and its noise from the words and the side of the view alone."""
    budget = Budget(recipe.noise.epsilon)

    def protect(batch: Batch) -> Protection:
        choice = draw_choice(batch.keys, fitted.alphabet, recipe.fit.seed)
        noise = budget.project(batch.images, noise_of(choice, batch.images.shape[-1]))
        return Protection(batch.keys, to_int8(noise), words_of(fitted.alphabet, choice))

    return protect
