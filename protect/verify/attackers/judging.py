"""How a network is asked: pictures and captions as it takes them, retrieval on test pairs."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from protect.clip.models import DualEncoder
from protect.clip.retrieval import ranks
from protect.types import Images, Pixels
from protect.verify.attackers.classification import classification
from protect.verify.countermeasures.augmentation import VIEWS
from protect.verify.reading.pairs import JudgedPairs, Pairs
from protect.verify.records import RECALL, EpochResult, Pictures, judged_by

TEST_BATCH = 256
DIGITS = 5  # of what is stored of each test picture
View = Callable[[Image.Image], Image.Image]
Rows = list[list[tuple[int, ...]]]  # token ids of every caption, by picture


class Judge:
    """Retrieval of a network on the test pairs and, where there are some, on transformed ones."""

    def __init__(self, model: DualEncoder, test: JudgedPairs, transformed: JudgedPairs | None = None) -> None:
        self.model = model
        self.tests = [one for one in (test, transformed) if one is not None]
        self.queries = [[row for rows in encoded(model, one) for row in rows] for one in self.tests]

    def result(self, epoch: int, loss: float | None, seconds: float) -> EpochResult:
        judged = [judge(self.model, *one) for one in zip(self.tests, self.queries, strict=True)]
        _, pictures = max(judged, key=lambda one: judged_by(one[0], RECALL))
        plain, *transformed = (metrics for metrics, _ in judged)
        return EpochResult(epoch, loss, plain, seconds, transformed[0] if transformed else {}, pictures)


def encoded(model: DualEncoder, pairs: Pairs | JudgedPairs) -> Rows:
    return [[model.encode(caption) for caption in captions] for captions in pairs.captions]


def seen(pairs: Pairs, chosen: Sequence[int], look: View, device: torch.device) -> Images:
    """Pictures through a view."""
    views = np.stack([np.asarray(look(Image.fromarray(pairs.pictures[i]))) for i in chosen])
    return to_floats(torch.from_numpy(views).permute(0, 3, 1, 2), device)


def to_floats(pixels: Pixels, device: torch.device) -> Images:
    return pixels.to(device).float().div_(255)


@torch.inference_mode()
def judge(model: DualEncoder, test: JudgedPairs, rows: list[tuple[int, ...]]) -> tuple[dict[str, float], Pictures]:
    """Retrieval and classes by the model in eval mode, and by picture; `rows` are all encoded test captions."""
    model.eval()
    images = [model.images(to_floats(part, model.device)) for part in test.images.split(TEST_BATCH)]
    parts = [rows[i : i + TEST_BATCH] for i in range(0, len(rows), TEST_BATCH)]
    texts = [model.text(model.rows(part)) for part in parts]
    features, owner = (torch.cat(images), torch.cat(texts)), test.owner.to(model.device)
    places, classified = ranks(*features, owner), classification(*features, owner, test.labels)
    by_picture = ([round(value, DIGITS) for value in part.tolist()] for part in (places.hits(), places.percentiles()))
    return places.metrics() | classified, Pictures(*map(tuple, by_picture))


@torch.inference_mode()
def similarities(model: DualEncoder, pairs: Pairs, rows: Rows) -> Float[Tensor, " pairs"]:
    """Cosine of every picture, seen without chance, and its first caption; leaves the model in eval mode."""
    model.eval()
    look, cosines = VIEWS["none"](model.size), []
    for chosen in torch.arange(len(pairs)).split(TEST_BATCH):
        images = model.images(seen(pairs, chosen.tolist(), look, model.device))
        texts = model.text(model.rows([rows[i][0] for i in chosen.tolist()]))
        cosines.append((images * texts).sum(1))
    return torch.cat(cosines)
