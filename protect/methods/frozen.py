"""Phase 2 of methods that make a noise for each image: signed gradient steps on a frozen surrogate."""

from collections.abc import Callable

import torch
from torch import Tensor

from protect.batches import Window
from protect.budget import Budget, to_int8
from protect.losses import clip_loss
from protect.methods.minimise import draw_captions, surrogate_of
from protect.noise import improve_images
from protect.seeds import generator
from protect.settings import Recipe
from protect.surrogate import Surrogate
from protect.transformations import through
from protect.trigger import Choice, Lexicon, draw_choice, flip, words_of
from protect.types import Batch, Fitted, Images, Protection

ANCHORS = 127  # pairs of the window that every batch is contrasted with, so that a lone image has a loss


def surrogate_tensors(surrogate: Surrogate, window: Window, recipe: Recipe) -> dict[str, Tensor]:
    """The surrogate's weights and the features of some pairs of the window, by name."""
    surrogate.eval()
    rows = torch.arange(min(ANCHORS, len(window)))
    batch = window.batch(rows)
    captions = surrogate.rows([surrogate.encode(captions[0]) for captions in batch.captions])
    noise = window.noise(rows).to(surrogate.device)
    with torch.no_grad():
        images = surrogate.images(batch.images.to(surrogate.device) + noise / 255)
        anchors = {"anchor.images": images.cpu(), "anchor.texts": surrogate.text(captions).cpu()}
    return anchors | {
        f"surrogate.{name}": value.cpu().contiguous() for name, value in surrogate.model.state_dict().items()
    }


def per_image_protector(fitted: Fitted, recipe: Recipe, shuffle: bool) -> Callable[[Batch], Protection]:
    """A stateless function of a batch: words from the keys, bettered by HotFlip, then noise by PGD.

    Random numbers come from the seed and the batch's own keys.
    """
    surrogate = surrogate_of(recipe, recipe.mem.rounds - 1)
    weights = {k.removeprefix("surrogate."): v for k, v in fitted.tensors.items() if k.startswith("surrogate.")}
    surrogate.model.load_state_dict(weights)
    surrogate.eval().requires_grad_(False)
    lexicon = Lexicon(surrogate, fitted.alphabet, recipe.trigger.trigger_style)
    anchor_images = fitted.tensors["anchor.images"].to(surrogate.device)
    anchor_texts = fitted.tensors["anchor.texts"].to(surrogate.device)
    budget, transform = Budget(recipe.noise.epsilon), through(recipe.noise.through)

    def protect(batch: Batch) -> Protection:
        random = generator(recipe.fit.seed, *batch.keys)
        images = batch.images.to(surrogate.device)
        choice = draw_choice(batch.keys, fitted.alphabet, recipe.fit.seed)

        def tokens_of(captions: list[str], choice: Choice) -> Tensor:
            return lexicon.rows([surrogate.encode(caption) for caption in captions], choice)[0]

        def loss(changed: Images) -> Tensor:
            captions = draw_captions(batch, random)
            if shuffle:
                captions = [captions[i] for i in torch.randperm(len(captions), generator=random).tolist()]
            with torch.no_grad():
                texts = torch.cat([surrogate.text(tokens_of(captions, choice)), anchor_texts])
            return clip_loss(
                torch.cat([surrogate.images(transform(changed, random)), anchor_images]), texts, surrogate.scale
            )

        if fitted.alphabet and recipe.mem.text_rounds:
            with torch.no_grad():
                features = surrogate.images(images)
            captions = [surrogate.encode(caption) for caption in draw_captions(batch, random)]
            choice = flip(lexicon, features, captions, choice, recipe.mem.candidates)
        noise = improve_images(torch.zeros_like(images), images, loss, budget, recipe.noise)
        return Protection(batch.keys, to_int8(noise).cpu(), words_of(fitted.alphabet, choice))

    return protect
