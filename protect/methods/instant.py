"""Picture and caption say of each other what a network reads first: noise the caption, planted words the picture.

Every telling word of a caption has a direction, in which the fine texture of its picture is made louder. The words
planted in the caption say how the picture looks at a glance: how bright it is, which colour prevails. A network
learns both sooner than what is shown, and what colour could tell it of the caption's own words, the planted ones
tell better. Neither hangs on the other: with the words taken out the texture still says the caption, with the
texture levelled the words still say the picture. Which word has which direction is drawn from the user's key, and so
are words for looks that are not plain ones; where the lines of a texture are, comes from the picture itself.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from protect.data.images import LUMA
from protect.data.window import Window
from protect.methods.fitted import Fitted
from protect.methods.parts.budget import LEVELS, Budget, to_int8
from protect.methods.parts.image_stats import Looks, traits
from protect.methods.parts.keywords import Vocabulary
from protect.methods.parts.oriented_bands import DIRECTIONS, louder
from protect.methods.parts.trigger import words_of
from protect.methods.parts.wordlist import draw_alphabet
from protect.seeds import derive, generator
from protect.settings.recipe import LOOK_WORDS, Recipe
from protect.types import Batch, Protection

VOCABULARY, TRAITS, BORDERS = "vocabulary", "traits", "borders"
LOOKED_AT = 16  # pictures at a time


def fit(window: Window, recipe: Recipe, report: Callable[[str], None]) -> Fitted:
    """Counts the captions' words and looks how pictures differ, so that directions and planted words are all used."""
    vocabulary = Vocabulary.of(window.captions)
    report(f"{len(vocabulary.telling())} words that tell {vocabulary.pictures} pictures apart")
    rows = torch.arange(len(window)).split(LOOKED_AT)
    return draw(recipe, vocabulary, torch.cat([traits(window.batch(some).images) for some in rows]))


def draw(recipe: Recipe, vocabulary: Vocabulary | None = None, seen: Tensor | None = None) -> Fitted:
    """What the key alone decides, where nothing is known of the captions or of the pictures' traits."""
    vocabulary = vocabulary or Vocabulary(0, {})
    drawn = draw_alphabet(recipe.trigger.trigger_words or LOOK_WORDS, recipe.trigger.alphabet, recipe.fit.seed)
    positions, levels = len(drawn), len(drawn[0])
    looks = Looks.usual(positions, levels) if seen is None else Looks.of(seen, positions, levels)
    words = looks.words if recipe.content.wording == "plain" else drawn
    text = json.dumps([vocabulary.pictures, sorted(vocabulary.count.items())]).encode()
    counted = torch.frombuffer(bytearray(text), dtype=torch.uint8)
    return Fitted(words, {VOCABULARY: counted, TRAITS: looks.traits, BORDERS: looks.borders})


def vocabulary_of(fitted: Fitted) -> Vocabulary:
    """The words as they were counted."""
    pictures, counted = json.loads(fitted.tensors[VOCABULARY].numpy().tobytes())
    return Vocabulary(pictures, dict(counted))


def protector(fitted: Fitted, recipe: Recipe) -> Callable[[Batch], Protection]:
    """An image's noise comes from the image, its captions and its key alone; its words from the image alone.

    A picture without a caption gets words to post with it, and noise that says these.
    """
    vocabulary, seed = vocabulary_of(fitted), recipe.fit.seed
    looks = Looks(fitted.tensors[TRAITS], fitted.tensors[BORDERS])
    directions = Deal.of(vocabulary.telling(), seed)
    budget, content = Budget(recipe.noise.epsilon), recipe.content

    def noise_of(key: str, image: Float[Tensor, "3 height width"], said: Iterable[str]) -> Tensor:
        gray = np.tensordot(LUMA, image.numpy() * np.float32(LEVELS), 1)
        random = np.random.default_rng(derive(seed, "grain", key))
        chosen, loud = directions.of_words(said), content.loudness * budget.reach
        return torch.from_numpy(louder(gray, chosen, loud, content.hush, random)).expand_as(image)

    def protect(batch: Batch) -> Protection:
        images = batch.images.cpu()
        words = words_of(fitted.alphabet, looks.levels(images))
        captioned = [any(caption.strip() for caption in captions) for captions in batch.captions]
        said = [
            vocabulary.content(captions, content.content_words) if has_some else mine
            for mine, captions, has_some in zip(words, batch.captions, captioned, strict=True)
        ]
        planted = tuple(
            mine if recipe.trigger.trigger_words or not has_some else ()
            for mine, has_some in zip(words, captioned, strict=True)
        )
        noise = torch.stack([noise_of(*pair) for pair in zip(batch.keys, images, said, strict=True)])
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
