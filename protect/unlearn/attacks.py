"""Membership inference by several attacks: can pairs be told from others of their kind that a model never saw?

Every attack gives a pair a score and is judged by its AUC. Published attacks on models of this family reach about
0.51 at scale, so an AUC near 0.5 is little proof of anything: that is why there are several, each with its error.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from protect.unlearn.head import Clip
from protect.unlearn.judge import embed, similarities
from protect.unlearn.pairs import Pairs, joined


@dataclass(frozen=True)
class Attack:
    """What an attack reaches. auc: 0.5 tells nothing. error: its standard error (DeLong et al. 1988)."""

    auc: float
    error: float


@torch.inference_mode()
def attacks(model: Clip, members: Pairs, others: Pairs, references: Sequence[Clip] = ()) -> dict[str, Attack]:
    """Every attack by name; `references` are models that saw neither group.

    similarity: of image and caption. loss: a pair's contrastive loss among all of both groups (Yeom et al. 2018).
    margin: own similarity above the best foreign one. calibrated: the loss against the mean loss in `references`,
    which takes out how hard a pair is (Watson et al. 2022; LiRA, Carlini et al. 2022, with one spread for all pairs).
    """
    both, count = joined([members, others]), len(members)
    found = scores(model, both)
    if references:
        expected = torch.stack([scores(reference, both)["loss"] for reference in references]).mean(dim=0)
        found["calibrated"] = found["loss"] - expected
    return {name: attack(score[:count], score[count:]) for name, score in found.items()}


@torch.inference_mode()
def scores(model: Clip, pairs: Pairs) -> dict[str, Float[Tensor, " pairs"]]:
    """For each pair by attack: the higher, the more it looks like one that was trained on."""
    points = embed(model, pairs)
    gallery, place = points.number.unique(return_inverse=True)
    similarity = similarities(model, points.images, points.texts[gallery])
    own = similarity.gather(1, place[:, None])[:, 0]
    foreign = similarity.masked_fill(points.own[:, gallery], -math.inf)
    nearest = (foreign.amax(dim=1), foreign.amax(dim=0)[place])
    ways = [(model.scale * foreign).logsumexp(dim=dim) for dim in (1, 0)]
    loss = F.softplus(ways[0] - model.scale * own) + F.softplus(ways[1][place] - model.scale * own)
    return {"similarity": own, "loss": -loss / 2, "margin": own - (nearest[0] + nearest[1]) / 2}


def attack(members: Float[Tensor, " members"], others: Float[Tensor, " others"]) -> Attack:
    """The AUC of two groups of scores and its standard error."""
    above = (members[:, None] > others).float() + (members[:, None] == others).float() / 2
    spread = [
        ways.var(correction=min(1, len(ways) - 1)).item() / len(ways) for ways in (above.mean(1), above.mean(0))
    ]
    return Attack(above.mean().item(), math.sqrt(sum(spread)))


def strongest(found: dict[str, Attack]) -> tuple[str, Attack]:
    """The attack that is furthest from guessing, either way."""
    return max(found.items(), key=lambda item: abs(item[1].auc - 0.5))
