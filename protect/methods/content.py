"""Noise that says what the caption says: every telling word has a direction, the same in all pictures.

The shortcut needs no planted words. It is the caption itself: a network that reads which way the fine texture of a
picture lies matches picture and text nearly as well as one that knows what is shown, and sooner. So captions stay
untouched, and there is nothing to strip. Which word has which direction is drawn from the user's key; where the lines
of a texture are, from the picture itself.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from protect.alphabet import draw_alphabet
from protect.batches import Window
from protect.budget import LEVELS, Budget, to_int8
from protect.caption_words import Vocabulary
from protect.images import LUMA
from protect.orientations import DIRECTIONS, louder
from protect.seeds import derive, generator
from protect.settings import Recipe
from protect.trigger import draw_choice, words_of
from protect.types import Batch, Fitted, Protection, Words

VOCABULARY = "vocabulary"
SUGGESTED = 3  # words for a picture without a caption


def fit(window: Window, recipe: Recipe, report: Callable[[str], None]) -> Fitted:
    """Counts the words of the captions: the frequent ones are dealt to the directions evenly."""
    vocabulary = Vocabulary.of(window.captions)
    report(f"{len(vocabulary.telling())} words that tell {vocabulary.pictures} pictures apart")
    return draw(recipe, vocabulary)


def draw(recipe: Recipe, vocabulary: Vocabulary | None = None) -> Fitted:
    """What the key alone decides, where nothing is known of the data."""
    vocabulary = vocabulary or Vocabulary(0, {})
    trigger = recipe.trigger
    words = draw_alphabet(trigger.trigger_words or SUGGESTED, trigger.alphabet, recipe.fit.seed)
    text = json.dumps([vocabulary.pictures, sorted(vocabulary.count.items())]).encode()
    return Fitted(words, {VOCABULARY: torch.frombuffer(bytearray(text), dtype=torch.uint8)})


def vocabulary_of(fitted: Fitted) -> Vocabulary:
    """The words as they were counted."""
    pictures, counted = json.loads(fitted.tensors[VOCABULARY].numpy().tobytes())
    return Vocabulary(pictures, dict(counted))


def protector(fitted: Fitted, recipe: Recipe) -> Callable[[Batch], Protection]:
    """An image's noise comes from the image, its captions and its key alone."""
    vocabulary, seed = vocabulary_of(fitted), recipe.fit.seed
    directions = Deal.of(vocabulary.telling(), seed)
    budget, content = Budget(recipe.noise.epsilon), recipe.content

    def noise_of(key: str, image: Float[Tensor, "3 height width"], said: Iterable[str]) -> Tensor:
        gray = np.tensordot(LUMA, image.numpy() * np.float32(LEVELS), 1)
        random = np.random.default_rng(derive(seed, "grain", key))
        chosen, loud = directions.of_words(said), content.loudness * budget.reach
        return torch.from_numpy(louder(gray, chosen, loud, content.hush, random)).expand_as(image)

    def protect(batch: Batch) -> Protection:
        planted = _planted(batch, fitted.alphabet, recipe)
        words = [
            (*mine, *vocabulary.content(captions, content.content_words))
            for mine, captions in zip(planted, batch.captions, strict=True)
        ]
        images = batch.images.cpu()
        noise = torch.stack([noise_of(*pair) for pair in zip(batch.keys, images, words, strict=True)])
        return Protection(batch.keys, to_int8(budget.project(images, noise)), planted)

    return protect


@dataclass(frozen=True)
class Deal:
    """Which direction each word has: the most frequent ones all different ones, others one by their hash."""

    seed: int
    order: tuple[int, ...]
    known: Mapping[str, int]

    @classmethod
    def of(cls, words: Sequence[str], seed: int) -> "Deal":
        """Dealt from the key; `words` are those that were counted, the most frequent first."""
        order = torch.randperm(DIRECTIONS, generator=generator(seed, "directions")).tolist()
        return cls(seed, tuple(order), {word: order[place % len(order)] for place, word in enumerate(words)})

    def of_words(self, words: Iterable[str]) -> list[int]:
        """The directions of these words, without repetition."""
        return sorted({self.known.get(word, self._by_hash(word)) for word in words})

    def _by_hash(self, word: str) -> int:
        return self.order[derive(self.seed, "direction", word) % len(self.order)]


def _planted(batch: Batch, alphabet: tuple[Words, ...], recipe: Recipe) -> tuple[Words, ...]:
    """Trigger words where the settings ask for some, and for pictures that have no caption at all."""
    drawn = words_of(alphabet, draw_choice(batch.keys, alphabet, recipe.fit.seed))
    if recipe.trigger.trigger_words:
        return drawn
    return tuple(
        () if any(caption.strip() for caption in captions) else words
        for captions, words in zip(batch.captions, drawn, strict=True)
    )
