"""How much a model knows of the forget, retain and far pairs: zero-shot accuracy, retrieval, membership."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from protect.clip.retrieval import LEVELS, best_ranks
from protect.unlearn.head import Clip
from protect.unlearn.pairs import Classes, Pairs, joined

BATCH = 256
POOLED = ("forget", "retain")


@dataclass(frozen=True)
class Embedded:
    """Pairs as a model sees them: all images, every distinct caption once, and which belong together."""

    images: Float[Tensor, "images dim"]
    texts: Float[Tensor, "texts dim"]
    own: Bool[Tensor, "images texts"]
    first: Float[Tensor, "images dim"]


@torch.inference_mode()
def embed(model: Clip, pairs: Pairs) -> Embedded:
    """Embeddings of all pairs; `first` holds each pair's first caption."""
    model.eval()
    texts = list(dict.fromkeys(caption for captions in pairs.captions for caption in captions))
    place = {text: i for i, text in enumerate(texts)}
    own = torch.zeros(len(pairs), len(texts), dtype=torch.bool)
    for i, captions in enumerate(pairs.captions):
        own[i, [place[caption] for caption in captions]] = True
    rows = torch.arange(len(pairs)).split(BATCH)
    images = torch.cat([model.images(pairs.images(part, model.towers.device)) for part in rows])
    points = embed_texts(model, texts)
    return Embedded(
        images, points, own.to(points.device), points[[place[captions[0]] for captions in pairs.captions]]
    )


@torch.inference_mode()
def embed_texts(model: Clip, texts: Sequence[str]) -> Float[Tensor, "texts dim"]:
    return torch.cat([model.texts(texts[i : i + BATCH]) for i in range(0, len(texts), BATCH)])


@torch.inference_mode()
def prompts(model: Clip, classes: Classes) -> Float[Tensor, "classes dim"]:
    """One embedding a class."""
    return torch.stack([model.middle(embed_texts(model, captions)) for captions in classes.prompts])


@torch.inference_mode()
def judge(model: Clip, sets: Mapping[str, Pairs], classes: Classes | None) -> dict[str, dict[str, float]]:
    """For each set: accuracy (where there are classes), recall both ways, similarity of true and of all pairs.

    Queries of the sets `forget` and `retain` search in both together, those of any other set in that set.
    """
    heads = None if classes is None else prompts(model, classes)
    by_name: dict[str, dict[str, float]] = {}
    groups = [[name for name in sets if name in POOLED], *([name] for name in sets if name not in POOLED)]
    for names in filter(None, groups):
        points = embed(model, joined([sets[name] for name in names]))
        similarity = similarities(model, points.images, points.texts)
        true = model.matched(points.images, points.first)
        right = None
        if heads is not None and classes is not None:
            numbers = torch.cat([classes.numbers(sets[name]) for name in names])
            right = similarities(model, points.images, heads).argmax(dim=1).cpu() == numbers
        for name, rows in zip(names, _rows([len(sets[name]) for name in names]), strict=True):
            figures = {} if right is None else {"accuracy": right[rows].float().mean().item()}
            asked = points.own[rows].any(dim=0)
            figures |= recalls("text_retrieval", similarity[rows], points.own[rows])
            figures |= recalls("image_retrieval", similarity.T[asked], points.own.T[asked])
            figures |= {"true_similarity": true[rows].mean().item(), "similarity": similarity[rows].mean().item()}
            by_name[name] = figures
    return {name: by_name[name] for name in sets}


@torch.inference_mode()
def accuracy(model: Clip, pairs: Pairs, classes: Classes | None) -> float | None:
    """Share of the images that are given their own class; None where there are no classes."""
    if classes is None:
        return None
    answers = similarities(model, embed(model, pairs).images, prompts(model, classes)).argmax(dim=1).cpu()
    return (answers == classes.numbers(pairs)).float().mean().item()


def _rows(counts: Sequence[int]) -> list[slice]:
    """Where each of several lists of these lengths stands when they are joined."""
    ends = list(accumulate(counts))
    return [slice(end - count, end) for end, count in zip(ends, counts, strict=True)]


def similarities(
    model: Clip, images: Float[Tensor, "images dim"], texts: Float[Tensor, "texts dim"]
) -> Float[Tensor, "images texts"]:
    """Similarity of all images and texts, some rows at a time: distances need room."""
    return torch.cat([model.similarity(part, texts) for part in images.split(BATCH)])


def recalls(
    name: str, scores: Float[Tensor, "queries gallery"], own: Bool[Tensor, "queries gallery"]
) -> dict[str, float]:
    """Recall@k (0 to 1), named NAME_recall@k; any of a query's own items counts.

    Foreign items that tie rank before, and so does NaN: a collapsed model comes last.
    """
    rank = best_ranks(scores, own)
    return {f"{name}_recall@{k}": (rank <= k).float().mean().item() for k in LEVELS}


@torch.inference_mode()
def membership(model: Clip, members: Pairs, others: Pairs) -> float:
    """AUC by which the similarity of image and caption tells pairs trained on from others of their kind."""
    scores = [model.matched(points.images, points.first) for points in (embed(model, members), embed(model, others))]
    return auc(scores[0], scores[1])


def auc(positive: Float[Tensor, " members"], negative: Float[Tensor, " others"]) -> float:
    """Probability that a positive scores above a negative, ties counted half."""
    above = (positive[:, None] > negative).float().mean() + (positive[:, None] == negative).float().mean() / 2
    return above.item()


@torch.inference_mode()
def gap(model: Clip, retrained: Clip, pairs: Pairs, classes: Classes | None) -> float:
    """Mean total variation (0 to 1) between what two models say of the images: of classes, else of the captions."""
    answers = []
    for side in (model, retrained):
        points = embed(side, pairs)
        choices = points.texts if classes is None else prompts(side, classes)
        answers.append((side.scale * similarities(side, points.images, choices)).softmax(dim=1))
    return ((answers[0] - answers[1]).abs().sum(dim=1) / 2).mean().item()
