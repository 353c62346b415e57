"""Both towers frozen: linear maps into a shared space by regularised canonical correlation analysis (CCA)."""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from protect.verify.attackers.judging import TEST_BATCH, Rows, View, seen
from protect.verify.attackers.pretrained import SHARED, Pretrained
from protect.verify.reading.pairs import Pairs

RIDGE = 0.1  # of the mean variance of a feature
POWER = 1.0  # of its correlation, by which each shared dimension is weighted (Gong et al. 2014, arXiv 1212.4522)


@torch.inference_mode()
def fit_correlation(model: Pretrained, pairs: Pairs, rows: Rows, look: View) -> None:
    """Sets the heads of the towers; nothing else of the model changes. One pass over the pairs."""
    model.eval()
    images, texts = (torch.cat(parts).double() for parts in zip(*_features(model, pairs, rows, look), strict=True))
    maps = canonical_maps(images, texts)
    heads = (model.model.image_head, model.model.text_head)
    for head, features, linear in zip(heads, (images, texts), maps, strict=True):
        head.weight.zero_()
        head.bias.zero_()
        head.weight[: linear.shape[1]] = linear.T.to(head.weight)
        head.bias[: linear.shape[1]] = -(features.mean(0) @ linear).to(head.bias)


def canonical_maps(
    x: Float[Tensor, "n a"], y: Float[Tensor, "n b"], most: int = SHARED
) -> tuple[Float[Tensor, "a k"], Float[Tensor, "b k"]]:
    """Linear maps of two sets of features to what they share, the most correlated dimensions first."""
    x, y = x - x.mean(0), y - y.mean(0)
    whiten_x, whiten_y = (_inverse_root(z.T @ z / len(z)) for z in (x, y))
    u, correlation, v = torch.linalg.svd(whiten_x @ (x.T @ y / len(x)) @ whiten_y, full_matrices=False)
    weights = correlation[:most] ** POWER
    return whiten_x @ u[:, :most] * weights, whiten_y @ v.T[:, :most] * weights


def _inverse_root(covariance: Tensor) -> Tensor:
    ridge = RIDGE * covariance.diagonal().mean() * torch.eye(len(covariance), dtype=covariance.dtype)
    values, vectors = torch.linalg.eigh(covariance + ridge)
    return vectors * values.clamp(min=1e-12).rsqrt() @ vectors.T


def _features(model: Pretrained, pairs: Pairs, rows: Rows, look: View) -> Iterator[tuple[Tensor, Tensor]]:
    """Picture and caption features, a row for every caption, on the CPU."""
    for chosen in torch.arange(len(pairs)).split(TEST_BATCH):
        pixels = seen(pairs, chosen.tolist(), look, model.device)
        with model.precision():
            pictures = model.picture_features((pixels - model.mean) / model.std).float().cpu()
        counts = torch.tensor([len(rows[i]) for i in chosen.tolist()])
        captions = [row for i in chosen.tolist() for row in rows[i]]
        parts = [_captions(model, captions[i : i + TEST_BATCH]) for i in range(0, len(captions), TEST_BATCH)]
        yield pictures.repeat_interleave(counts, 0), torch.cat(parts)


def _captions(model: Pretrained, captions: list[tuple[int, ...]]) -> Tensor:
    tokens = model.rows(captions)
    with model.precision():
        return model.caption_features(model.embed(tokens), tokens).float().cpu()
