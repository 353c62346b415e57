"""HotFlip: candidate trigger words by gradient, taken where the loss falls."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from protect.clip.models import DualEncoder
from protect.clip.text_features import text_features, text_from
from protect.methods.parts.contrast import Contrast
from protect.methods.parts.trigger import Choice, Lexicon
from protect.types import Features, Tokens


def flip(
    lexicon: Lexicon, contrast: Contrast, captions: Sequence[tuple[int, ...]], choice: Choice, candidates: int
) -> Choice:
    """Better trigger words for each row: HotFlip (Ebrahimi et al. 2018; MEM section 3.3), chosen per row.

    contrast: holds the image features, which are computed once, since only text changes here. Position by position,
    every row asks for the option (keep, or one of its `candidates` best by first-order estimate) that makes the loss
    lowest while the other rows stay; `contrast.accepted` says which rows get it. The gradient is taken once.
    """
    surrogate = lexicon.surrogate
    tokens, where = lexicon.rows(captions, choice)
    gradient, texts = _trigger_gradient(surrogate, contrast, tokens, where)
    table = surrogate.embedding_table.detach()
    choice = choice.to(tokens.device, copy=True)
    rows = torch.arange(len(texts), device=texts.device)
    for position, ids in enumerate(lexicon.ids.to(tokens.device)):
        present = choice[:, position, None]
        estimate = -gradient[:, position] @ table[ids].T  # (batch, symbols); the present word's own part is constant
        estimate = estimate.scatter(1, present, -torch.inf)
        options = estimate.topk(min(candidates, len(ids) - 1)).indices
        changed = _option_texts(surrogate, tokens, where[:, position], ids[options])
        features = torch.cat([texts[:, None], changed], dim=1)  # the first option is to keep the word
        best = contrast.options(features).argmin(dim=1)
        best = best.where(contrast.accepted(texts, features[rows, best]), 0)
        choice[:, position] = torch.cat([present, options], dim=1)[rows, best]
        tokens = tokens.scatter(1, where[:, position, None], ids[choice[:, position, None]])
        texts = features[rows, best]
    return choice.cpu()


def _trigger_gradient(
    surrogate: DualEncoder, contrast: Contrast, tokens: Tokens, where: Tensor
) -> tuple[Float[Tensor, "batch position width"], Features]:
    """The loss's gradient by the embeddings of the trigger words, and the text features it was taken at."""
    embeddings = surrogate.embed(tokens).detach().requires_grad_()
    texts = text_from(surrogate, embeddings, tokens)
    (gradient,) = torch.autograd.grad(contrast.loss(texts), embeddings)
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
