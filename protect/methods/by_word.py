"""One noise for each word, confined to its position's band of the picture: what `mem` moves with share=word."""

from collections.abc import Callable

from protect.budget import Budget, to_int8
from protect.noise import Patterns, compose, tiles
from protect.seeds import generator
from protect.settings import Recipe
from protect.trigger import draw_choice, words_of
from protect.types import Batch, Fitted, Protection


def draw_patterns(recipe: Recipe, size: int) -> Patterns:
    """A colour tile for each word, from the seed."""
    trigger, seed = recipe.trigger, recipe.fit.seed
    random = generator(seed, "tiles")
    return tiles(trigger.trigger_words, trigger.alphabet, size, Budget(recipe.noise.epsilon).reach, random)


def protector(fitted: Fitted, recipe: Recipe) -> Callable[[Batch], Protection]:
    """An image's words come from its key, its noise is the sum of their patterns."""
    budget, patterns = Budget(recipe.noise.epsilon), fitted.tensors["patterns"]

    def protect(batch: Batch) -> Protection:
        choice = draw_choice(batch.keys, fitted.alphabet, recipe.fit.seed)
        noise = budget.project(batch.images, compose(patterns, choice))
        return Protection(batch.keys, to_int8(noise), words_of(fitted.alphabet, choice))

    return protect
