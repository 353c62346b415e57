"""How much a model knows of the forget, retain and far pairs: zero-shot accuracy, retrieval, membership."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from protect.clip.retrieval import LEVELS, best_ranks
from protect.unlearn.head import Clip
from protect.unlearn.pairs import Classes, Pairs, joined

BATCH = 256
POOLED = ("forget", "retain")


@dataclass(frozen=True)
class Embedded:
    """Pairs as a model sees them: all images, every distinct caption once, and which belong together.

    number: which of the texts is each image's first caption.
    """

    images: Float[Tensor, "images dim"]
    texts: Float[Tensor, "texts dim"]
    own: Bool[Tensor, "images texts"]
    number: Int[Tensor, " images"]

    @property
    def first(self) -> Float[Tensor, "images dim"]:
        """The text of each image's first caption."""
        return self.texts[self.number]


@torch.inference_mode()
def embed(model: Clip, pairs: Pairs) -> Embedded:
    """Embeddings of all pairs."""
    model.eval()
    texts = list(dict.fromkeys(caption for captions in pairs.captions for caption in captions))
    place = {text: i for i, text in enumerate(texts)}
    own = torch.zeros(len(pairs), len(texts), dtype=torch.bool)
    for i, captions in enumerate(pairs.captions):
        own[i, [place[caption] for caption in captions]] = True
    rows = torch.arange(len(pairs)).split(BATCH)
    images = torch.cat([model.images(pairs.images(part, model.towers.device)) for part in rows])
    points = embed_texts(model, texts)
    number = torch.tensor([place[captions[0]] for captions in pairs.captions])
    return Embedded(images, points, own.to(points.device), number.to(points.device))


@torch.inference_mode()
def embed_texts(model: Clip, texts: Sequence[str]) -> Float[Tensor, "texts dim"]:
    return torch.cat([model.texts(texts[i : i + BATCH]) for i in range(0, len(texts), BATCH)])


@torch.inference_mode()
def prompts(model: Clip, classes: Classes) -> Float[Tensor, "classes dim"]:
    """One embedding a class."""
    return torch.stack([model.middle(embed_texts(model, captions)) for captions in classes.prompts])


@torch.inference_mode()
def judge(model: Clip, sets: Mapping[str, Pairs], classes: Classes | None) -> dict[str, dict[str, float]]:
    """For each set: accuracy (if all its kinds are classes), recall both ways, similarity of true and of all pairs.

    alignment: by how many standard deviations of the similarities to foreign captions an image's own caption lies
    above their mean. Queries of the sets `forget` and `retain` search in both together, those of any other set in
    that set.
    """
    heads = None if classes is None else prompts(model, classes)
    by_name: dict[str, dict[str, float]] = {}
    groups = [[name for name in sets if name in POOLED], *([name] for name in sets if name not in POOLED)]
    for names in filter(None, groups):
        points = embed(model, joined([sets[name] for name in names]))
        similarity = similarities(model, points.images, points.texts)
        true = model.matched(points.images, points.first)
        right = None
        if heads is not None and classes is not None and classes.hold(*(sets[name] for name in names)):
            numbers = torch.cat([classes.numbers(sets[name]) for name in names])
            right = similarities(model, points.images, heads).argmax(dim=1).cpu() == numbers
        for name, rows in zip(names, _rows([len(sets[name]) for name in names]), strict=True):
            figures = {} if right is None else {"accuracy": right[rows].float().mean().item()}
            asked = points.own[rows].any(dim=0)
            figures |= recalls("text_retrieval", similarity[rows], points.own[rows])
            figures |= recalls("image_retrieval", similarity.T[asked], points.own.T[asked])
            figures |= {"true_similarity": true[rows].mean().item(), "similarity": similarity[rows].mean().item()}
            by_name[name] = figures | alignment(similarity[rows], true[rows], points.own[rows])
    return {name: by_name[name] for name in sets}


def alignment(
    similarity: Float[Tensor, "images texts"], true: Float[Tensor, " images"], own: Bool[Tensor, "images texts"]
) -> dict[str, float]:
    """The mean alignment of some images, see `judge`; nothing where an image has fewer than two foreign captions."""
    count = (~own).sum(dim=1)
    if (count < 2).any():
        return {}
    mean = similarity.masked_fill(own, 0).sum(dim=1) / count
    variance = (similarity - mean[:, None]).square().masked_fill(own, 0).sum(dim=1) / count
    return {"alignment": ((true - mean) / variance.sqrt().clamp(min=1e-6)).mean().item()}


def knowledge(figures: Mapping[str, float]) -> float:
    """What a model knows of a set, 0 to 1: its accuracy, or without classes the mean recall@10 of both ways."""
    both = (figures["text_retrieval_recall@10"], figures["image_retrieval_recall@10"])
    return figures.get("accuracy", sum(both) / 2)


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
def gap(model: Clip, retrained: Clip, pairs: Pairs, classes: Classes | None) -> float:
    """Mean total variation (0 to 1) between what two models say of the images: of classes, else of the captions."""
    answers = []
    for side in (model, retrained):
        points = embed(side, pairs)
        choices = points.texts if classes is None else prompts(side, classes)
        answers.append((side.scale * similarities(side, points.images, choices)).softmax(dim=1))
    return ((answers[0] - answers[1]).abs().sum(dim=1) / 2).mean().item()
