"""Asks a model which twin of each pair it knows better; only similarities of pictures and captions are used."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from protect.clip.device import choose_device, use_precision
from protect.data.pictures import view_of
from protect.data.window import to_images
from protect.jobs.receipt.evidence import Evidence, evidence
from protect.jobs.receipt.store import TwinPair, read_pairs
from protect.settings.unlearn import UnlearnSettings
from protect.unlearn.checkpoint import check_trained, load_model
from protect.unlearn.head import Clip

BATCH = 128


@dataclass(frozen=True)
class UseAudit:
    """Whether a model was trained on what was published: evidence, and a verdict at the false-alarm rate `alpha`."""

    model: str
    alpha: float
    evidence: Evidence
    verdict: str


def audit_use(
    model: str, weights: str | None, receipt: Path, settings: UnlearnSettings, alpha: float = 0.05
) -> UseAudit:
    """Loads a model and tests it with a receipt. Raises ValueError for a model or a receipt that cannot be read."""
    check_trained(model, weights)
    device = choose_device(settings.device)
    use_precision(device, settings.precision)
    clip = load_model(model, weights, device, settings.geometry, settings.size)
    pairs = list(read_pairs(receipt))
    found = evidence(differences(clip, pairs), alpha)
    return UseAudit(weights or model, alpha, found, verdict(found, alpha))


@torch.inference_mode()
def differences(model: Clip, pairs: Sequence[TwinPair]) -> list[float]:
    """Score of the published twin minus that of the other, for each pair.

    A twin's score is how similar its picture and caption are, beside its picture with all other captions and its
    caption with all other pictures: some pictures are like everything. Of these all twins are a part alike, so that
    the scores know nothing of the coins.
    """
    model.eval()
    images = [_embedded(model.images, pairs, partial(_pictures, which=which, model=model)) for which in (0, 1)]
    texts = [_embedded(model.texts, pairs, partial(_captions, which=which)) for which in (0, 1)]
    all_images, all_texts = torch.cat(images), torch.cat(texts)
    scores = [
        model.matched(image, text)
        - (model.similarity(image, all_texts).mean(1) + model.similarity(text, all_images).mean(1)) / 2
        for image, text in zip(images, texts, strict=True)
    ]
    sign = torch.tensor([1.0 if pair.published == 0 else -1.0 for pair in pairs])
    return (sign * (scores[0] - scores[1]).float().cpu()).tolist()


def _embedded(embed: Callable[..., Tensor], pairs: Sequence[TwinPair], take: Callable[..., object]) -> Tensor:
    """Embeddings of what is taken of each pair."""
    return torch.cat([embed(take(pairs[i : i + BATCH])) for i in range(0, len(pairs), BATCH)])


def _pictures(pairs: Sequence[TwinPair], which: int, model: Clip) -> Tensor:
    pixels = np.stack([view_of(pair.pictures[which], model.towers.size) for pair in pairs])
    return to_images(torch.from_numpy(pixels)).to(model.towers.device)


def _captions(pairs: Sequence[TwinPair], which: int) -> list[str]:
    return [pair.captions[which] for pair in pairs]


def verdict(found: Evidence, alpha: float) -> str:
    """What the evidence means."""
    if found.p_rank <= alpha:
        return (
            "the model knows the published twins better than those that were kept back: most likely it was "
            f"trained on your files (of models that never saw them {alpha:.0%} look so)"
        )
    return "no sign that the model was trained on your files; a small share of a large set leaves none"


def to_text(audit: UseAudit) -> str:
    """The findings for a terminal."""
    found = audit.evidence
    stopped = "" if found.decided_after is None else f"; below {audit.alpha:g} after {found.decided_after} pairs"
    return "\n".join(
        [
            f"{found.pairs} pairs; the published twin is better known in {found.wins}",
            f"p-value {found.p_rank:.3g} (signed ranks), {found.p_sign:.3g} (signs alone)",
            f"p-value {found.p_any_time:.3g} if you may stop at any pair{stopped}",
            audit.verdict,
        ]
    )
