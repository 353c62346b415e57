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
from protect.text_tower import text_features, text_from
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
        return torch.tensor(self._known)

    @cached_property
    def _known(self) -> list[list[int]]:
        return [[self._id(word) for word in words] for words in self.alphabet]

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
        pieces, offsets, known = [], [], self._known
        for caption, symbols in zip(captions, choice.tolist(), strict=True):
            ids = [i for p, s in enumerate(symbols) for i in (*hashtag, known[p][s])]
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
    gradient, texts = _trigger_gradient(surrogate, images, tokens, where)
    table = surrogate.embedding_table.detach()
    choice = choice.to(tokens.device, copy=True)
    for position, ids in enumerate(lexicon.ids.to(tokens.device)):
        present = choice[:, position, None]
        estimate = -gradient[:, position] @ table[ids].T  # (batch, symbols); the present word's own part is constant
        estimate = estimate.scatter(1, present, -torch.inf)
        options = estimate.topk(min(candidates, len(ids) - 1)).indices
        changed = _option_texts(surrogate, tokens, where[:, position], ids[options])
        features = torch.cat([texts[:, None], changed], dim=1)  # the first option is to keep the word
        best = option_losses(images, features, surrogate.scale).argmin(dim=1, keepdim=True)
        choice[:, position] = torch.cat([present, options], dim=1).gather(1, best).squeeze(1)
        tokens = tokens.scatter(1, where[:, position, None], ids[choice[:, position, None]])
        texts = features[torch.arange(len(texts)), best.squeeze(1)]
    return choice.cpu()


def _trigger_gradient(
    surrogate: Surrogate, images: Features, tokens: Tokens, where: Tensor
) -> tuple[Float[Tensor, "batch position width"], Features]:
    """The loss's gradient by the embeddings of the trigger words, and the text features it was taken at."""
    embeddings = surrogate.embed(tokens).detach().requires_grad_()
    texts = text_from(surrogate, embeddings, tokens)
    (gradient,) = torch.autograd.grad(clip_loss(images, texts, surrogate.scale), embeddings)
    return gradient.gather(1, where[..., None].expand(-1, -1, gradient.shape[-1])), texts.detach()


def _option_texts(
    surrogate: Surrogate, tokens: Tokens, where: Int[Tensor, " batch"], ids: Int[Tensor, "batch option"]
) -> Float[Tensor, "batch option dim"]:
    """Text features of each row with each option at its place; what stands before the place is computed once."""
    rows, options = ids.shape
    place = where[:, None, None].expand(-1, options, 1)
    changed = tokens[:, None].repeat(1, options, 1).scatter(2, place, ids[..., None])
    texts = text_features(surrogate, changed.flatten(0, 1), where.repeat_interleave(options))
    return texts.view(rows, options, texts.shape[1])


@torch.no_grad()
def option_losses(
    images: Features, texts: Float[Tensor, "batch option dim"], scale: Float[Tensor, ""]
) -> Float[Tensor, "batch option"]:
    """Loss of the whole batch when one row alone takes one of its options; the first option is its present text.

    Up to what no option of the row changes. Exact, from one matrix: a new text changes its row's softmax over
    images and one term of every image's softmax over texts, whose other terms are the present sum without its own.
    """
    new = scale * texts @ images.T  # (row, option, image)
    by_image = torch.logaddexp(_sums_without(new[:, 0].T).T[:, None], new).sum(dim=2)
    matched = new.diagonal(dim1=0, dim2=2).T
    return (by_image + new.logsumexp(dim=2) - 2 * matched) / (2 * len(texts))


def _sums_without(logits: Float[Tensor, "image text"]) -> Float[Tensor, "image text"]:
    """Logarithm of each row's sum of exponentials without the one entry of each place."""
    whole, largest = logits.logsumexp(dim=1, keepdim=True), logits.argmax(dim=1, keepdim=True)
    others = logits.scatter(1, largest, -torch.inf).logsumexp(dim=1, keepdim=True)
    rest = whole + torch.log1p(-(logits - whole).exp().clamp(max=0.75))  # at most a half but for the largest
    return rest.scatter(1, largest, others)
