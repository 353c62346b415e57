"""A keyed code: words choose noise patterns drawn from the key; the same rule in every image, nothing optimised.

The pair (word, pattern) is what MEM's noise and words become when each word of a small alphabet has one noise for
all images. Measured (benchmarks/LOG.md): drawn colour tiles are learned by fresh networks of two families sooner
than what any schedule of noise steps made of them. Protecting an image is one addition.
"""

from collections.abc import Callable

from protect.alphabet import draw_alphabet
from protect.batches import Window
from protect.budget import Budget, to_int8
from protect.noise import Patterns, compose, tiles
from protect.seeds import generator
from protect.settings import Recipe
from protect.trigger import draw_choice, words_of
from protect.types import Batch, Fitted, Protection


def fit(window: Window, recipe: Recipe, report: Callable[[str], None]) -> Fitted:
    """Draws words and patterns; the data do not matter."""
    trigger, seed = recipe.trigger, recipe.fit.seed
    alphabet = draw_alphabet(trigger.trigger_words, trigger.alphabet, seed)
    return Fitted(alphabet, {"patterns": draw_patterns(recipe, window.size)})


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
