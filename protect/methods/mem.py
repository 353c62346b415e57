"""Multi-step Error Minimization (MEM, ACM MM 2024): image noise and trigger words against one contrastive loss.

min over surrogate, noise and words of the CLIP loss of (image + noise, words + caption), |noise| <= epsilon.
`share=image` is the paper's form: every image its own noise. `share=word` gives every word of a small alphabet
one pattern, optimised by the same rounds over all images that carry it; what is planted is then the same rule
in every image, and protecting a new image is one addition.
"""

from collections.abc import Callable

from protect.clip.models import choose_device
from protect.data.window import Window
from protect.methods import by_word
from protect.methods.fitted import Fitted
from protect.methods.parts.budget import Budget
from protect.methods.parts.error_min import Minimiser
from protect.methods.parts.noise import Carrier, PerImage, PerWord
from protect.methods.parts.per_image import fitted_per_image, per_image_protector
from protect.methods.parts.trigger import draw_choice
from protect.methods.parts.wordlist import draw_alphabet
from protect.settings.recipe import Recipe
from protect.types import Batch, Protection


def fit(window: Window, recipe: Recipe, report: Callable[[str], None]) -> Fitted:
    trigger, seed = recipe.trigger, recipe.fit.seed
    alphabet = draw_alphabet(trigger.trigger_words, trigger.alphabet, seed)
    choice = draw_choice(window.keys, alphabet, seed)
    budget = Budget(recipe.noise.epsilon)
    carrier: Carrier = PerImage(window, budget)
    if recipe.mem.share == "word":
        patterns = by_word.draw_patterns(recipe, window.size)
        if recipe.mem.start == "zero":
            patterns = patterns * 0
        carrier = PerWord(patterns.to(choose_device(recipe.fit.device)), budget)
    surrogate = Minimiser(window, recipe, alphabet, choice, carrier, shuffle=True, report=report).run()
    if isinstance(carrier, PerWord):
        return Fitted(alphabet, {"patterns": carrier.patterns.cpu()})
    return fitted_per_image(surrogate, alphabet, window, choice, recipe)


def protector(fitted: Fitted, recipe: Recipe) -> Callable[[Batch], Protection]:
    if recipe.mem.share == "image":
        return per_image_protector(fitted, recipe, shuffle=True)
    return by_word.protector(fitted, recipe)
