"""A keyed code: words choose textures, the same rule in every image; what is optimised, if anything, is the rule.

The pair (word, texture) is what MEM's words and noise become when each word of a small alphabet has one noise for
all images. Protecting an image is one addition. Three grades: textures that come with the tool and are dealt by the
key (ready), drawn at random (drawn), or fitted to the user's own pairs and surrogates (learned).
"""

from collections.abc import Callable
from functools import cache
from importlib.resources import files

import safetensors.torch
from torch import Tensor

from protect.data.window import Window
from protect.methods import by_word, readable
from protect.methods.fitted import Fitted
from protect.methods.parts.budget import Budget
from protect.methods.parts.tiles import Tiles, deal, draw_tiles, superpose
from protect.methods.parts.wordlist import draw_alphabet
from protect.seeds import generator
from protect.settings.recipe import Recipe
from protect.types import Batch, Protection

TILES = "tiles"


def fit(window: Window, recipe: Recipe, report: Callable[[str], None]) -> Fitted:
    """Words and textures; the data matter to the learned grade only."""
    fitted = draw(recipe)
    if recipe.code.grade == "learned":
        return Fitted(fitted.alphabet, {TILES: readable.learn(fitted.tensors[TILES], window, recipe, report)})
    return fitted


def draw(recipe: Recipe) -> Fitted:
    """What the key alone decides; the learned grade starts here."""
    trigger, code = recipe.trigger, recipe.code
    reach, random = Budget(recipe.noise.epsilon).reach, generator(recipe.fit.seed, TILES)
    shape = trigger.trigger_words, trigger.alphabet
    if code.grade == "ready":
        tiles: Tiles = deal(ready_tiles(), *shape, reach, random)
    else:
        tiles = draw_tiles(*shape, code.period, reach, random)
    return Fitted(draw_alphabet(*shape, recipe.fit.seed), {TILES: tiles})


@cache
def ready_tiles() -> Tensor:
    """The textures shipped with the package, (count, 3, period, period), of strength 1."""
    return safetensors.torch.load(files("protect").joinpath("ready", "tiles.safetensors").read_bytes())[TILES]


def protector(fitted: Fitted, recipe: Recipe) -> Callable[[Batch], Protection]:
    """An image's noise is the sum of its words' textures."""
    tiles, reach = fitted.tensors[TILES], Budget(recipe.noise.epsilon).reach
    return by_word.keyed(fitted, recipe, lambda choice, size: superpose(tiles, choice, size, reach))
