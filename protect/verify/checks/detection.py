"""How visible the protection is to someone who filters for it: AUC of detectors on pairs they have not seen."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn

from protect.seeds import derive, generator
from protect.verify.countermeasures.prefix_dedup import EDGE, Planted, find_planted
from protect.verify.countermeasures.text import fold_word
from protect.verify.reading.high_pass import high_pass
from protect.verify.reading.pairs import Pairs, centre

SIDE = 64  # of the middle that is looked at; picture pixels, as noise does not survive a resize
STEPS, BATCH, LEARNING_RATE = 100, 64, 3e-3
LOUDER = 8  # times: noise is small
SEED = 0
MOST = 2000  # pairs that are looked at
ANY_RATIO = 1.0

Crops = Float[Tensor, "pictures 3 height width"]


class Detector(nn.Sequential):
    """One score a picture, higher is protected; it is shown what a small blur takes away."""

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        for inner, outer in ((3, 16), (16, 32), (32, 48)):
            layers += [nn.Conv2d(inner, outer, 3, stride=2, padding=1), nn.BatchNorm2d(outer), nn.ReLU()]
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(48, 1))

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input).squeeze(1)


def detection(clean: Pairs, protected: Pairs) -> dict[str, float]:
    """AUC by detector (0.5: cannot tell), each trained on one half of the keys and judged on the other.

    small CNN: on clean and protected pictures. word frequency: of the captions, knows the protected ones alone.
    Raises ValueError when fewer than four keys are in both.
    """
    shared = sorted(set(clean.keys) & set(protected.keys), key=lambda key: derive(SEED, "detection", key))[:MOST]
    if len(shared) < 4:
        raise ValueError(f"detection: expected at least 4 keys in clean and protected, got {len(shared)}")
    clean, protected = (pairs.select(_rows(pairs, shared)) for pairs in (clean, protected))
    half = len(shared) // 2
    learn, judge = list(range(half)), list(range(half, len(shared)))
    return {
        "small CNN": picture_auc(crops(clean.pictures), crops(protected.pictures), half),
        "word frequency": caption_auc(protected.select(learn), clean.select(judge), protected.select(judge)),
    }


def picture_auc(clean: Crops, protected: Crops, half: int) -> float:
    """AUC of the CNN on all but the first `half` pictures, on which it was trained for seconds."""
    clean, protected = (high_pass(pictures) * LOUDER for pictures in (clean, protected))
    network = _trained(clean[:half], protected[:half])
    with torch.inference_mode():
        scores = [
            torch.cat([network(part) for part in pictures[half:].split(4 * BATCH)]) for pictures in (clean, protected)
        ]
    return auc(scores[0], scores[1])


def caption_auc(known: Pairs, clean: Pairs, protected: Pairs) -> float:
    """AUC of a caption's most suspicious word, by how the `known` protected captions use it at their ends."""
    planted = find_planted(known.captions, ANY_RATIO)
    scores = [[_suspicion(c, planted) for lines in pairs.captions for c in lines] for pairs in (clean, protected)]
    return auc(torch.tensor(scores[0]), torch.tensor(scores[1]))


def auc(negative: Float[Tensor, " clean"], positive: Float[Tensor, " protected"]) -> float:
    """Probability that a protected score is above a clean one, ties counted half."""
    order, _ = negative.sort()
    below = torch.searchsorted(order, positive, right=False) + torch.searchsorted(order, positive, right=True)
    return float(below.double().mean() / (2 * len(negative)))


def crops(pictures: Sequence[np.ndarray]) -> Crops:
    """The middle of each picture, floats in [0, 1]."""
    squares = [middle(picture) for picture in pictures]
    return torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2).float().div_(255)


def middle(picture: np.ndarray) -> np.ndarray:
    """The middle 64 pixels square of a picture, or a smaller one enlarged to that."""
    height, width = picture.shape[:2]
    if min(height, width) < SIDE:
        return np.asarray(centre(Image.fromarray(picture), SIDE))
    top, left = (height - SIDE) // 2, (width - SIDE) // 2
    return picture[top : top + SIDE, left : left + SIDE]


def _trained(clean: Crops, protected: Crops) -> Detector:
    images = torch.cat([clean, protected])
    labels = torch.cat([torch.zeros(len(clean)), torch.ones(len(protected))])
    random = generator(SEED, "detector")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(SEED, "detector weights"))
        network = Detector()
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=STEPS)
    for _ in range(STEPS):
        chosen = torch.randint(len(images), (BATCH,), generator=random)
        loss = F.binary_cross_entropy_with_logits(network(images[chosen]), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval()


def _suspicion(caption: str, planted: Planted) -> float:
    words = [fold_word(word) for word in caption.split()]
    first, last = (planted.first.get(w, 0.0) for w in words[:EDGE]), (planted.last.get(w, 0.0) for w in words[-EDGE:])
    return max((*first, *last), default=0.0)


def _rows(pairs: Pairs, keys: Sequence[str]) -> list[int]:
    places = {key: row for row, key in enumerate(pairs.keys)}
    return [places[key] for key in keys]
