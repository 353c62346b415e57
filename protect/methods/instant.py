"""Protection without a model: words name what the image looks like; noise speaks for the caption, or against it.

In front of the caption stand attribute words that are true of the picture: how bright it is, which colour prevails.
They predict what a new network sees first, so brightness and colour no longer help to tell captions apart. The noise
is one of two. Where captions are free, it takes away what they tell of the picture's coarse colours and tells the
opposite (`caption_colours.py`). Where they repeat a few keywords, each keyword has an oriented sub-band, in which the
picture's own fine texture is amplified. Neither depends on the words: it stays when they are stripped, and they name
the picture when the noise is levelled. The user's key decides which keyword has which sub-band, and the words
for attributes that are not plain ones; where the lines of a texture lie, the picture decides.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from protect.data.images import LUMA
from protect.data.window import Window
from protect.methods.fitted import Fitted, Protect
from protect.methods.instant_settings import ATTRIBUTE_WORDS
from protect.methods.parts.budget import LEVELS, Budget, to_int8
from protect.methods.parts.caption_colours import CaptionColours
from protect.methods.parts.image_stats import AttributeLevels, image_attributes
from protect.methods.parts.keywords import Vocabulary
from protect.methods.parts.oriented_bands import DIRECTIONS, amplified
from protect.methods.parts.trigger import words_of
from protect.methods.parts.wordlist import draw_alphabet
from protect.methods.recipe import Recipe
from protect.seeds import derive, generator
from protect.types import Batch, Protection

ATTRIBUTES, BORDERS = "attributes", "borders"  # tensors of the fit
PICTURES, COUNT = "pictures", "count"  # and its facts
COLOUR_WORDS, SIDE = "colour_words", "side"  # more facts, where the noise is in colours
MEASURED = 16  # pictures at a time
FREQUENT = 0.5  # share of all keywords


def fit(window: Window, recipe: Recipe, device: torch.device, report: Callable[[str], None]) -> Fitted:
    """Counts the captions' words and measures how pictures differ, so that all sub-bands and words are used."""
    vocabulary = Vocabulary.of(window.captions)
    report(f"{len(vocabulary.keywords())} keywords tell {vocabulary.pictures} pictures apart")
    rows = torch.arange(len(window)).split(MEASURED)
    attributes = torch.cat([image_attributes(window.batch(some).images) for some in rows])
    fitted = from_key(recipe, vocabulary, attributes)
    if not in_colours(recipe, vocabulary):
        return fitted
    colours = CaptionColours.of(window, MEASURED)
    facts = {COLOUR_WORDS: list(colours.words), SIDE: colours.side}
    return Fitted(fitted.alphabet, fitted.tensors | colours.tensors(), fitted.facts | facts)


def in_colours(recipe: Recipe, vocabulary: Vocabulary) -> bool:
    """Whether the noise is in coarse colours: as the recipe says, or because captions are free.

    The texture of a keyword is only learned where it is frequent: where as many keywords as there are directions make
    up less than half of what all keywords are seen.
    """
    if recipe.own.noise_in != "auto":
        return recipe.own.noise_in == "colours"
    counts = [vocabulary.count[word] for word in vocabulary.keywords()]
    return sum(counts[:DIRECTIONS]) < FREQUENT * sum(counts)


def from_key(recipe: Recipe, vocabulary: Vocabulary | None = None, attributes: Tensor | None = None) -> Fitted:
    """What the key alone decides, where nothing is known of the captions or of the pictures' attributes."""
    vocabulary = vocabulary or Vocabulary(0, {})
    drawn = draw_alphabet(recipe.trigger.trigger_words or ATTRIBUTE_WORDS, recipe.trigger.alphabet, recipe.fit.seed)
    positions, levels = len(drawn), len(drawn[0])
    if attributes is None:
        scale = AttributeLevels.usual(positions, levels)
    else:
        scale = AttributeLevels.of(attributes, positions, levels)
    words = scale.words if recipe.own.wording == "plain" else drawn
    facts = {PICTURES: vocabulary.pictures, COUNT: dict(sorted(vocabulary.count.items()))}
    return Fitted(words, {ATTRIBUTES: scale.attributes, BORDERS: scale.borders}, facts)


def vocabulary_of(fitted: Fitted) -> Vocabulary:
    """The words as they were counted."""
    return Vocabulary(fitted.facts[PICTURES], fitted.facts[COUNT])


def protector(fitted: Fitted, recipe: Recipe, device: torch.device) -> Protect:
    """An image's noise comes from the image, its captions and its key alone; its words from the image alone.

    A picture without a caption gets words to post with it, and noise that encodes these.
    """
    vocabulary, seed = vocabulary_of(fitted), recipe.fit.seed
    scale = AttributeLevels(fitted.tensors[ATTRIBUTES], fitted.tensors[BORDERS])
    directions = Directions.of(vocabulary.keywords(), seed)
    budget, own = Budget(recipe.noise.epsilon), recipe.own

    def noise_of(key: str, gray: np.ndarray, keywords: Iterable[str]) -> np.ndarray:
        random = np.random.default_rng(derive(seed, "grain", key))
        chosen, loud = directions.of_words(keywords), own.amplify * budget.reach
        noise = amplified(gray, chosen, loud, own.attenuate, random)
        return np.clip(noise, -budget.reach, budget.reach, out=noise)

    colours = None
    if COLOUR_WORDS in fitted.facts:
        colours = CaptionColours.from_kept(fitted.tensors, fitted.facts[COLOUR_WORDS], fitted.facts[SIDE])

    def protect(batch: Batch) -> Protection:
        images = batch.images.cpu()
        words = words_of(fitted.alphabet, scale.levels(images))
        captioned = [any(caption.strip() for caption in captions) for captions in batch.captions]
        keywords = [
            vocabulary.keywords_of(captions, own.keywords) if has_some else mine
            for mine, captions, has_some in zip(words, batch.captions, captioned, strict=True)
        ]
        planted = tuple(
            mine if recipe.trigger.trigger_words or not has_some else ()
            for mine, has_some in zip(words, captioned, strict=True)
        )
        if colours:
            height, width = images.shape[2:] if batch.gray is None else batch.gray.shape[1:]
            noise = to_int8(colours.reversed(batch.captions, height, width, budget.reach))
        else:
            grays = map(gray_of, images.numpy()) if batch.gray is None else batch.gray.numpy()
            planes = [noise_of(*pair) for pair in zip(batch.keys, grays, keywords, strict=True)]
            whole = np.rint(np.stack(planes)).astype(np.int8)
            noise = torch.from_numpy(whole)[:, None].expand(-1, 3, -1, -1)  # one plane: all channels move alike
        return Protection(batch.keys, noise, planted)

    return protect


def gray_of(image: np.ndarray) -> np.ndarray:
    """Brightness of a 3xHxW picture in [0, 1], float32 HxW in 255ths, summed in a fixed order."""
    red, green, blue = (channel * np.float32(LEVELS * share) for channel, share in zip(image, LUMA, strict=True))
    red += green
    red += blue
    return red


@dataclass(frozen=True)
class Directions:
    """The direction of each word: the most frequent words have different ones, all others one by their hash."""

    seed: int
    order: tuple[int, ...]
    known: Mapping[str, int]

    @classmethod
    def of(cls, words: Sequence[str], seed: int) -> "Directions":
        """Drawn from the key; `words` are those that were counted, the most frequent first."""
        order = torch.randperm(DIRECTIONS, generator=generator(seed, "directions")).tolist()
        return cls(seed, tuple(order), {word: order[place % len(order)] for place, word in enumerate(words)})

    def of_words(self, words: Iterable[str]) -> list[int]:
        """The directions of these words, without repetition."""
        return sorted({self.known.get(word, self._by_hash(word)) for word in words})

    def _by_hash(self, word: str) -> int:
        return self.order[derive(self.seed, "direction", word) % len(self.order)]
