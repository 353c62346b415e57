"""How well features retrieve: recall@k and median rank both ways, and what guessing would score."""

from collections import Counter
from collections.abc import Callable, Sequence
from math import comb, floor

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

LEVELS = (1, 5, 10)
CHUNK = 1024  # queries compared at once: bounds memory on large test sets


def retrieval(
    images: Float[Tensor, "images dim"], texts: Float[Tensor, "texts dim"], owner: Int[Tensor, " texts"]
) -> dict[str, float]:
    """Recall@k (0 to 1) and median rank (from 1) both ways, by the names and definitions of CLIP_benchmark.

    Features have unit length. image_retrieval: each text is a query for its image, number `owner[text]`.
    text_retrieval: each image is a query, its best-placed text counts. Foreign items that tie rank before the
    own one, and so does NaN: a collapsed network comes last.
    Raises ValueError when an image has no text.
    """
    counts = owner.bincount(minlength=len(images))
    if len(owner) != len(texts) or len(counts) != len(images) or not counts.all():
        raise ValueError(
            f"retrieval: expected one owner a text and a text for each of {len(images)} images, got "
            f"{len(owner)} owners of {len(texts)} texts, images 0 to {len(counts) - 1}, "
            f"{int((counts == 0).sum())} without; drop images without captions"
        )
    numbers = torch.arange(len(images), device=owner.device)
    to_image = _ranks(texts, images, lambda q: owner[q, None] == numbers)
    to_text = _ranks(images, texts, lambda q: numbers[q, None] == owner)
    return _summary("image_retrieval", to_image) | _summary("text_retrieval", to_text)


def chance(texts_per_image: Sequence[int]) -> dict[str, float]:
    """What random ranking scores on a test set with so many texts an image, exact; keys as `retrieval`."""
    images, texts = len(texts_per_image), sum(texts_per_image)
    groups = Counter(texts_per_image)

    def hit(k: int) -> float:
        """Probability that one of an image's texts is among the first k of all."""
        k = min(k, texts)
        return sum(n * (1 - comb(texts - own, k) / comb(texts, k)) for own, n in groups.items()) / images

    low, high = 1, texts  # the smallest rank that half of the queries reach
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if hit(middle) >= 0.5 else (middle + 1, high)
    result = {f"image_retrieval_recall@{k}": min(1.0, k / images) for k in LEVELS}
    result["image_retrieval_median_rank"] = float((images + 1) // 2)
    result |= {f"text_retrieval_recall@{k}": hit(k) for k in LEVELS}
    return result | {"text_retrieval_median_rank": float(low)}


def best_ranks(
    scores: Float[Tensor, "queries gallery"], own: Bool[Tensor, "queries gallery"]
) -> Int[Tensor, " queries"]:
    """Rank, from 1, of each query's best own item; foreign items that tie, or are not numbers, rank before it."""
    best = scores.masked_fill(~own, -torch.inf).amax(dim=1, keepdim=True)
    return 1 + (~own & ~(scores < best)).sum(dim=1)


def _ranks(
    queries: Float[Tensor, "queries dim"],
    gallery: Float[Tensor, "gallery dim"],
    own_of: Callable[[Tensor], Bool[Tensor, "chunk gallery"]],
) -> Float[Tensor, " queries"]:
    """Rank, from 1, of each query's best own item: foreign items not clearly below it, plus one."""
    ranks = []
    for chunk in torch.arange(len(queries), device=queries.device).split(CHUNK):
        own = own_of(chunk)
        scores = queries[chunk] @ gallery.T
        ranks.append(best_ranks(scores, own))
    return torch.cat(ranks).float()


def _summary(name: str, ranks: Float[Tensor, " queries"]) -> dict[str, float]:
    recalls = {f"{name}_recall@{k}": (ranks <= k).float().mean().item() for k in LEVELS}
    return recalls | {f"{name}_median_rank": float(floor(ranks.cpu().quantile(0.5).item()))}
