"""How visible the protection is to someone who filters for it: AUC of detectors on pairs they have not seen."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from protect.seeds import derive
from protect.verify.checks.detector import BATCH, SEED, Crops, crops, trained_detector
from protect.verify.countermeasures.prefix_dedup import EDGE, Planted, find_planted
from protect.verify.countermeasures.text import fold_word
from protect.verify.reading.pairs import Pairs

MOST = 2000  # pairs that are looked at
ANY_RATIO = 1.0


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
    network = trained_detector(clean[:half], protected[:half])
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


def _suspicion(caption: str, planted: Planted) -> float:
    words = [fold_word(word) for word in caption.split()]
    first, last = (planted.first.get(w, 0.0) for w in words[:EDGE]), (planted.last.get(w, 0.0) for w in words[-EDGE:])
    return max((*first, *last), default=0.0)


def _rows(pairs: Pairs, keys: Sequence[str]) -> list[int]:
    places = {key: row for row, key in enumerate(pairs.keys)}
    return [places[key] for key in keys]
