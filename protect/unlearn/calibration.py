"""How sure a model is of its answers, and how often they are right (a reliability curve)."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from protect.unlearn.head import Clip
from protect.unlearn.judge import embed, prompts, similarities
from protect.unlearn.pairs import Classes, Pairs

BINS = 10  # of equal width


@dataclass(frozen=True)
class Calibration:
    """A reliability curve (Guo et al. 2017); all figures 0 to 1.

    points: mean confidence, share of right answers, and number of images of each bin that holds any. error: mean
    distance of the two over all images (expected calibration error).
    """

    points: tuple[tuple[float, float, int], ...]
    error: float


@torch.inference_mode()
def calibration(model: Clip, pairs: Pairs, classes: Classes | None) -> Calibration:
    """Of the class that each image is given; without classes, of the caption chosen among all captions of the set."""
    points = embed(model, pairs)
    if classes is None:
        choices, own = points.texts, points.own
    else:
        choices, own = prompts(model, classes), torch.zeros(len(pairs), len(classes.names), dtype=torch.bool)
        own[torch.arange(len(pairs)), classes.numbers(pairs)] = True
    answers = (model.scale * similarities(model, points.images, choices)).softmax(dim=1)
    confidence, chosen = answers.max(dim=1)
    right = own.to(chosen.device).gather(1, chosen[:, None])[:, 0]
    return curve(confidence, right)


def curve(confidence: Float[Tensor, " images"], right: Bool[Tensor, " images"]) -> Calibration:
    """The curve of answers that were given with these confidences."""
    place = (confidence * BINS).long().clamp(max=BINS - 1)
    points, error = [], 0.0
    for number in place.unique().tolist():
        inside = place == number
        sure, share, count = confidence[inside].mean().item(), right[inside].float().mean().item(), int(inside.sum())
        points.append((sure, share, count))
        error += count / len(place) * abs(sure - share)
    return Calibration(tuple(points), error)
