"""Trigger words: writing them into captions and tokens, and choosing them by HotFlip."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from protect.losses import clip_loss
from protect.seeds import derive
from protect.surrogate import Surrogate
from protect.types import Features, Tokens, Words

Choice = Int[Tensor, "batch position"]  # symbol chosen at each position


def write_words(caption: str, words: Words, style: str) -> str:
    """The caption as it is published."""
    if not words:
        return caption
    if style == "prefix":
        return " ".join((*words, caption))
    return " ".join((caption, *(f"#{word}" if style == "hashtags" else word for word in words)))


def draw_choice(keys: Sequence[str], alphabet: tuple[Words, ...], seed: int) -> Choice:
    """The words an image starts with: drawn from its key alone, so that they do not depend on its neighbours."""
    draws = [[derive(seed, "word", p, key) % len(words) for p, words in enumerate(alphabet)] for key in keys]
    return torch.tensor(draws, dtype=torch.long).view(len(keys), len(alphabet))


def words_of(alphabet: tuple[Words, ...], choice: Choice) -> tuple[Words, ...]:
    """The trigger of each row as words."""
    return tuple(tuple(words[s] for words, s in zip(alphabet, row, strict=True)) for row in choice.tolist())


@dataclass(frozen=True)
class Lexicon:
    """The words to choose from at each position, as a surrogate's tokenizer sees them.

    Raises ValueError for a word that is not a single token.
    """

    surrogate: Surrogate
    alphabet: tuple[Words, ...]
    style: str = "prefix"

    @cached_property
    def ids(self) -> Int[Tensor, "position symbol"]:
        return torch.tensor([[self._id(word) for word in words] for words in self.alphabet])

    def _id(self, word: str) -> int:
        ids = self.surrogate.encode(word)
        if len(ids) != 1:
            raise ValueError(f"trigger word {word!r}: expected one token under {self.surrogate.name}, got {len(ids)}")
        return ids[0]

    def rows(
        self, captions: Sequence[tuple[int, ...]], choice: Choice
    ) -> tuple[Tokens, Int[Tensor, "batch position"]]:
        """Token rows of captions with their triggers written in, and where each trigger word stands.

        The same ids that the tokenizer makes of the written text; a caption is cut, never its trigger.
        """
        hashtag = self.surrogate.encode("#") if self.style == "hashtags" else ()
        width = (1 + len(hashtag)) * choice.shape[1]
        room = self.surrogate.context - 2 - width
        if room < 0:
            raise ValueError(f"trigger: expected at most {room + width} tokens, got {width}; lower trigger_words")
        pieces, offsets = [], []
        for caption, symbols in zip(captions, choice.tolist(), strict=True):
            ids = [i for p, s in enumerate(symbols) for i in (*hashtag, int(self.ids[p, s]))]
            caption = caption[:room]
            pieces.append((*ids, *caption) if self.style == "prefix" else (*caption, *ids))
            offsets.append(0 if self.style == "prefix" else len(caption))
        rows = self.surrogate.rows(pieces)
        start = int(self.surrogate.start_token is not None)
        steps = start + len(hashtag) + torch.arange(choice.shape[1]) * (1 + len(hashtag))
        return rows, (torch.tensor(offsets)[:, None] + steps).to(rows.device)


def flip(
    lexicon: Lexicon, images: Features, captions: Sequence[tuple[int, ...]], choice: Choice, candidates: int
) -> Choice:
    """Better trigger words for each row: HotFlip (Ebrahimi et al. 2018; MEM section 3.3), chosen per row.

    images are computed once by the caller: only text changes here. Position by position, every row takes
    the option (keep, or one of its `candidates` best by first-order estimate) that makes the batch's loss
    lowest while the other rows stay; the gradient is taken once.
    """
    surrogate = lexicon.surrogate
    tokens, where = lexicon.rows(captions, choice)
    gradient = _trigger_gradient(surrogate, images, tokens, where)
    table = surrogate.embedding_table.detach()
    choice = choice.clone()
    for position, ids in enumerate(lexicon.ids.to(tokens.device)):
        estimate = -gradient[:, position] @ table[ids].T  # (batch, symbols); the current word's own part is constant
        options = estimate.topk(min(candidates, len(ids))).indices
        options = torch.cat([choice[:, position, None].to(options.device), options], dim=1)
        losses = _option_losses(surrogate, images, tokens, where[:, position], ids[options])
        best = options.gather(1, losses.argmin(dim=1, keepdim=True)).squeeze(1)
        choice[:, position] = best.to(choice.device)
        tokens = tokens.scatter(1, where[:, position, None], ids[best][:, None])
    return choice


def _trigger_gradient(
    surrogate: Surrogate, images: Features, tokens: Tokens, where: Tensor
) -> Float[Tensor, "batch position width"]:
    embeddings = surrogate.embed(tokens).detach().requires_grad_()
    loss = clip_loss(images, surrogate.text_from(embeddings, tokens), surrogate.scale)
    (gradient,) = torch.autograd.grad(loss, embeddings)
    return gradient.gather(1, where[..., None].expand(-1, -1, gradient.shape[-1]))


@torch.no_grad()
def _option_losses(
    surrogate: Surrogate, images: Features, tokens: Tokens, where: Tensor, ids: Int[Tensor, "batch option"]
) -> Float[Tensor, "batch option"]:
    """Loss of the whole batch when one row alone takes one of its options; the first option is its present word.

    Exact: a row's text enters its own softmax over images and, as one term, every image's softmax over texts.
    """
    rows, options = ids.shape
    changed = (
        tokens[:, None]
        .expand(-1, options, -1)
        .scatter(2, where[:, None, None].expand(-1, options, 1), ids[..., None])
    )
    texts = surrogate.text(changed.flatten(0, 1)).view(rows, options, -1)
    new = surrogate.scale * texts @ images.T  # (row, option, image)
    kept = new[:, 0].T  # (image, text): the batch as it stands
    others = kept[None].expand(rows, -1, -1).clone()
    others[torch.arange(rows), :, torch.arange(rows)] = -torch.inf  # (row, image, text): without the row's own text
    by_image = torch.logaddexp(others.logsumexp(dim=2)[:, None], new).sum(dim=2)
    by_text = new.logsumexp(dim=2)
    matched = new.diagonal(dim1=0, dim2=2).T
    return (by_image + by_text - 2 * matched) / (2 * rows)
