"""Phase 2 of sample-wise methods: words and noise for a pair that the fit has not seen."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from protect.clip.image_features import image_features
from protect.clip.models import DualEncoder
from protect.data.window import Window
from protect.methods.fitted import Fitted
from protect.methods.parts.budget import Budget
from protect.methods.parts.contrast import WithAnchors
from protect.methods.parts.eot import through
from protect.methods.parts.error_min import draw_captions, texts_of
from protect.methods.parts.hotflip import flip
from protect.methods.parts.noise import improve_images
from protect.methods.parts.trigger import Choice, Lexicon
from protect.methods.recipe import Recipe
from protect.samples import Words
from protect.seeds import generator
from protect.types import Batch, Features, Images

ANCHORS = 127  # pairs of the window that every new pair is contrasted with: a batch of 128, as in phase 1
IMAGES, TEXTS, CAPTIONS = "anchor.images", "anchor.texts", "anchor_captions"  # tensors and a fact of the fit

Start = Callable[[Batch], tuple[Tensor, Choice]]  # noise in 255ths and words of each pair, before the first step


@torch.no_grad()
def anchors(lexicon: Lexicon, window: Window, choice: Choice) -> dict[str, Tensor]:
    """Features of some pairs of the window as protected."""
    surrogate = lexicon.surrogate.eval()
    rows = torch.arange(min(ANCHORS, len(window)))
    batch = window.batch(rows)
    noise = window.noise(rows).to(surrogate.device)
    captions = [surrogate.encode(captions[0]) for captions in batch.captions]
    images = surrogate.images(batch.images.to(surrogate.device) + noise / 255)
    texts = surrogate.text(lexicon.rows(captions, choice[rows])[0])
    return {IMAGES: images.cpu(), TEXTS: texts.cpu()}


def anchor_captions(window: Window) -> dict[str, list[str]]:
    """The captions that are permuted between new pairs and the anchors."""
    return {CAPTIONS: [captions[0] for captions in window.captions[:ANCHORS]]}


@dataclass
class Phase2:
    """Words by HotFlip and noise by PGD on a frozen surrogate, one pair at a time.

    A pair alone: what stands beside it in a batch would move the last bit of its gradient, and with it signs.
    start: noise and words before the first step.
    permute: each noise step pairs the image with its own words and the caption of another pair (an anchor).
    """

    surrogate: DualEncoder
    fitted: Fitted
    recipe: Recipe
    start: Start
    permute: bool

    def __post_init__(self) -> None:
        self.lexicon = Lexicon(self.surrogate, self.fitted.alphabet, self.recipe.trigger.style)
        self.anchors = [self.fitted.tensors[name].to(self.surrogate.device) for name in (IMAGES, TEXTS)]
        self.captions = self.fitted.facts[CAPTIONS]
        self.budget = Budget(self.recipe.noise.epsilon)
        self.transform = through(self.recipe.own.eot)
        self.settings = replace(self.recipe.own, steps=self.recipe.own.phase2_steps)

    def make(self, batch: Batch) -> tuple[Float[Tensor, "batch 3 height width"], Choice]:
        """Noise in 255ths and words of each pair; random numbers come from the seed and the pair's own key."""
        made = [
            self._make(Batch((key,), image[None], (captions,)))
            for key, image, captions in zip(batch.keys, batch.images, batch.captions, strict=True)
        ]
        return torch.cat([noise for noise, _ in made]), torch.cat([choice for _, choice in made])

    def _make(self, pair: Batch) -> tuple[Float[Tensor, "1 3 height width"], Choice]:
        random = generator(self.recipe.fit.seed, "phase 2", *pair.keys)
        images = pair.images.to(self.surrogate.device)
        noise, choice = self.start(pair)
        if self.fitted.alphabet and self.recipe.own.text_rounds:
            choice = self._search_words(pair, images, choice, random)
        loss = self._loss(pair, choice, random)
        return improve_images(noise.to(images.device), images, loss, self.budget, self.settings).cpu(), choice

    def _search_words(self, pair: Batch, images: Images, choice: Choice, random: torch.Generator) -> Choice:
        """HotFlip among a half of each position's words that the key draws, the present one in it.

        Among all words new pairs would ask for the same few: they are contrasted with anchors, not with each other.
        """
        with torch.no_grad():
            contrast = self._contrast(image_features(self.surrogate, images))
        captions = [self.surrogate.encode(caption) for caption in draw_captions(pair, random)]
        drawn = [
            _half(words, symbol, random)
            for words, symbol in zip(self.fitted.alphabet, choice[0].tolist(), strict=True)
        ]
        words = tuple(tuple(words[i] for i in some) for words, some in zip(self.fitted.alphabet, drawn, strict=True))
        lexicon = Lexicon(self.surrogate, words, self.lexicon.style)
        better = flip(lexicon, contrast, captions, torch.zeros_like(choice), self.recipe.own.candidates)[0].tolist()
        return torch.tensor([[some[i] for some, i in zip(drawn, better, strict=True)]])

    def _loss(self, pair: Batch, choice: Choice, random: torch.Generator) -> Callable[[Images], Tensor]:
        """The pair's loss against the anchors as a function of its image; every call sees another caption."""
        captions = [self._draw(pair, random) for _ in range(self.settings.steps)]
        texts = iter(texts_of(self.lexicon, captions, choice))

        def loss(changed: Images) -> Tensor:
            seen = image_features(self.surrogate, self.transform(changed, random))
            return self._contrast(seen).loss(next(texts))

        return loss

    def _draw(self, pair: Batch, random: torch.Generator) -> list[str]:
        if not self.permute:
            return draw_captions(pair, random)
        return [self.captions[int(torch.randint(len(self.captions), (), generator=random))]]

    def _contrast(self, images: Features) -> WithAnchors:
        return WithAnchors(images, self.surrogate.scale, *self.anchors)


def _half(words: Words, present: int, random: torch.Generator) -> list[int]:
    """Numbers of half of the words, the present one first."""
    order = [i for i in torch.randperm(len(words), generator=random).tolist() if i != present]
    return [present, *order[: max(1, len(words) // 2 - 1)]]
