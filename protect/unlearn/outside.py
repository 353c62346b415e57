"""What the owner of the pairs sees of a forgetting from outside: similarities that fall (Wang et al., TMLR 2025).

It needs no look into the model, only how similar it finds the owner's pictures and captions before and after. That
this falls shows that something was done; how far it should fall is what a retrained model shows.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from protect.unlearn.head import Clip
from protect.unlearn.judge import embed, similarities
from protect.unlearn.pairs import Pairs


@dataclass(frozen=True)
class Fall:
    """How much lower a model's similarities are than the original's: cosines, or negative distances.

    own: mean, of pictures to their own caption; error: its standard error. others: mean, to the captions of other
    pictures; None where all captions are the same.
    """

    own: float
    error: float
    others: float | None


@torch.inference_mode()
def fall(original: Clip, model: Clip, pairs: Pairs) -> Fall:
    """From the original to the model, over these pairs."""
    (own_before, others_before), (own, others) = (_agreement(side, pairs) for side in (original, model))
    lower = own_before - own
    error = lower.std(correction=0).item() / math.sqrt(len(lower))
    return Fall(lower.mean().item(), error, (others_before - others).mean().item() if len(others) else None)


def to_line(falls: dict[str, Fall]) -> str:
    """One sentence for a report, the retrained model's figures in brackets."""
    after, standard = falls["after"], falls.get("retrained")
    said = "seen from outside: the similarity of the pairs to their own captions falls by "
    said += f"{after.own:.3f} ± {after.error:.3f}{_beside(standard.own if standard else None)}"
    if after.others is not None:
        said += f", to other captions by {after.others:.3f}{_beside(standard.others if standard else None)}"
    return said


def _beside(value: float | None) -> str:
    return "" if value is None else f" (retrained: {value:.3f})"


def _agreement(model: Clip, pairs: Pairs) -> tuple[Float[Tensor, " pairs"], Float[Tensor, " others"]]:
    """Similarity of each picture to its own first caption, and of all pictures to all captions of others."""
    points = embed(model, pairs)
    scores = similarities(model, points.images, points.texts)
    return model.matched(points.images, points.first), scores[~points.own]
