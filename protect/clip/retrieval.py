"""How well features retrieve: recall@k, median rank and mean percentile rank both ways, and what guessing scores."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import comb, floor

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

LEVELS = (1, 5, 10)
CHUNK = 1024  # queries compared at once: bounds memory on large test sets


@dataclass(frozen=True)
class Ranks:
    """Rank, from 1, of each query's best own item: of each text among the images, of each image among the texts."""

    of_texts: Float[Tensor, " texts"]
    of_images: Float[Tensor, " images"]
    owner: Int[Tensor, " texts"]

    def metrics(self) -> dict[str, float]:
        """By name as `retrieval` returns them."""
        images, texts = len(self.of_images), len(self.of_texts)
        to_image = _summary("image_retrieval", self.of_texts, images)
        return to_image | _summary("text_retrieval", self.of_images, texts)

    def hits(self, k: int = LEVELS[-1]) -> Float[Tensor, " images"]:
        """For each image, the recall at k (0 to 1) of it and of its texts, mean of both ways."""
        return (self._per_image(self.of_texts <= k) + (self.of_images <= k)) / 2

    def percentiles(self) -> Float[Tensor, " images"]:
        """Percentile rank of each image and its texts (see `retrieval`), mean of both ways."""
        to_image = _percentiles(self.of_texts, len(self.of_images))
        return (self._per_image(to_image) + _percentiles(self.of_images, len(self.of_texts))) / 2

    def _per_image(self, values: Tensor) -> Float[Tensor, " images"]:
        sums = torch.zeros(len(self.of_images), device=values.device).index_add(0, self.owner, values.float())
        return sums / self.owner.bincount(minlength=len(self.of_images))


def ranks(
    images: Float[Tensor, "images dim"], texts: Float[Tensor, "texts dim"], owner: Int[Tensor, " texts"]
) -> Ranks:
    """Where every query finds its own item, number `owner[text]`; features have unit length.

    Of an image's texts the best-placed counts. Foreign items that tie rank before the own one, and so does NaN: a
    collapsed network comes last. Raises ValueError when an image has no text.
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
    return Ranks(to_image, to_text, owner)


def retrieval(
    images: Float[Tensor, "images dim"], texts: Float[Tensor, "texts dim"], owner: Int[Tensor, " texts"]
) -> dict[str, float]:
    """Recall@k (0 to 1), median rank (from 1) and mean percentile rank both ways.

    Names and definitions are CLIP_benchmark's; image_retrieval: each text is a query for its image; text_retrieval:
    each image is a query. The percentile rank of a query is 1 - (rank - 1/2) / items, 0.5 in the mean by guessing
    where every query has one own item. Arguments and errors as of `ranks`.
    """
    return ranks(images, texts, owner).metrics()


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
    result |= {"image_retrieval_median_rank": float((images + 1) // 2), "image_retrieval_mean_percentile_rank": 0.5}
    result |= {f"text_retrieval_recall@{k}": hit(k) for k in LEVELS}
    best = sum(n * (texts + 1) / (own + 1) for own, n in groups.items()) / images  # mean rank of the first own text
    percentile = 1 - (best - 0.5) / texts
    return result | {"text_retrieval_median_rank": float(low), "text_retrieval_mean_percentile_rank": percentile}


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


def _summary(name: str, ranks: Float[Tensor, " queries"], items: int) -> dict[str, float]:
    recalls = {f"{name}_recall@{k}": (ranks <= k).float().mean().item() for k in LEVELS}
    median, percentile = float(floor(ranks.cpu().quantile(0.5).item())), _percentiles(ranks, items).mean().item()
    return recalls | {f"{name}_median_rank": median, f"{name}_mean_percentile_rank": percentile}


def _percentiles(ranks: Float[Tensor, " queries"], items: int) -> Float[Tensor, " queries"]:
    return 1 - (ranks - 0.5) / items
