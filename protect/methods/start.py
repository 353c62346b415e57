"""What words and noise of MEM start from: drawn words and no noise, as published, or those of the method instant.

Words that say a picture's brightness and colour are what a network that has learned nothing yet asks for: MEM's
text step, done by hand. From there HotFlip moves a word only where that helps. The words are drawn, not plain ones:
HotFlip exchanges single tokens, and a word that was moved would no longer be true of the picture.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from protect.data.window import Window
from protect.methods import instant
from protect.methods.fitted import Fitted
from protect.methods.instant_settings import InstantSettings
from protect.methods.parts.phase2 import Start
from protect.methods.parts.trigger import Choice, draw_choice
from protect.methods.parts.wordlist import draw_alphabet
from protect.methods.recipe import Recipe
from protect.samples import Words
from protect.types import Batch

KEPT = "start."  # name of what an artefact keeps of instant's fit
SCANNED = 128  # pairs of the window at a time


def fit_start(window: Window, recipe: Recipe, device: torch.device) -> Fitted:
    """The words to choose from, and whatever else `start_of` needs."""
    words = recipe.trigger.trigger_words or 0
    if recipe.own.start == "drawn":
        return Fitted(draw_alphabet(words, recipe.trigger.alphabet, recipe.fit.seed))
    fitted = instant.fit(window, _instant(recipe), device, lambda line: None)
    tensors = {KEPT + name: tensor for name, tensor in fitted.tensors.items()}
    return Fitted(fitted.alphabet[:words], tensors, {KEPT: {"alphabet": fitted.alphabet, "facts": fitted.facts}})


def start_of(fitted: Fitted, recipe: Recipe, device: torch.device) -> Start:
    """A function of a batch alone: each pair's start depends on the pair and the artefact."""
    alphabet = fitted.alphabet
    if recipe.own.start == "drawn":
        return drawn(alphabet, recipe.fit.seed)
    kept = fitted.facts[KEPT]
    words = tuple(tuple(of_position) for of_position in kept["alphabet"])
    tensors = {name.removeprefix(KEPT): value for name, value in fitted.tensors.items() if name.startswith(KEPT)}
    protect = instant.protector(Fitted(words, tensors, kept["facts"]), _instant(recipe), device)

    def start(batch: Batch) -> tuple[Tensor, Choice]:
        made = protect(batch)
        return made.noise.float(), _choice(made.words, alphabet)

    return start


def drawn(alphabet: tuple[Words, ...], seed: int) -> Start:
    """No noise, and words drawn from each pair's key."""
    return lambda batch: (torch.zeros_like(batch.images), draw_choice(batch.keys, alphabet, seed))


def start_all(window: Window, start: Start) -> Choice:
    """Puts the first noise of every pair into the window; returns their first words."""
    choices = []
    for rows in torch.arange(len(window)).split(SCANNED):
        noise, choice = start(window.batch(rows))
        window.store_noise(rows, noise.to(torch.int8))
        choices.append(choice)
    return torch.cat(choices)


def _instant(recipe: Recipe) -> Recipe:
    fit = replace(recipe.fit, method="instant")
    return replace(recipe, fit=fit, own=InstantSettings(wording="drawn"))  # one token each


def _choice(words: Sequence[Words], alphabet: tuple[Words, ...]) -> Choice:
    rows = [[some.index(word) for some, word in zip(alphabet, row, strict=False)] for row in words]
    return torch.tensor(rows, dtype=torch.long).view(len(words), len(alphabet))
