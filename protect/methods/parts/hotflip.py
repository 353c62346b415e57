"""Trigger words: writing them into captions and tokens, and choosing them by HotFlip."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from protect.clip.losses import clip_loss
from protect.clip.models import DualEncoder
from protect.clip.text_features import text_features, text_from
from protect.methods.parts.trigger import Choice, Lexicon
from protect.types import Features, Tokens


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
    surrogate: DualEncoder, images: Features, tokens: Tokens, where: Tensor
) -> tuple[Float[Tensor, "batch position width"], Features]:
    """The loss's gradient by the embeddings of the trigger words, and the text features it was taken at."""
    embeddings = surrogate.embed(tokens).detach().requires_grad_()
    texts = text_from(surrogate, embeddings, tokens)
    (gradient,) = torch.autograd.grad(clip_loss(images, texts, surrogate.scale), embeddings)
    return gradient.gather(1, where[..., None].expand(-1, -1, gradient.shape[-1])), texts.detach()


def _option_texts(
    surrogate: DualEncoder, tokens: Tokens, where: Int[Tensor, " batch"], ids: Int[Tensor, "batch option"]
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
