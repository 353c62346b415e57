"""Is my data still in there? What the owner of pairs can see of a model from its similarities alone (black box)."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from protect.clip.device import choose_device, use_precision
from protect.files import write_whole
from protect.settings.unlearn import UnlearnSettings
from protect.unlearn.checkpoint import check_trained, load_model
from protect.unlearn.head import Clip
from protect.unlearn.judge import Embedded, auc, embed, similarities
from protect.unlearn.pairs import Pairs, read_pairs

SHOWN = 48  # pairs in the picture of the similarity matrix, from all over
CELL = 8  # pixels
PICTURE, REPORT = "similarity.png", "audit.json"
LUCK = 2.0  # an AUC within this many standard deviations of 0.5 says nothing


@dataclass(frozen=True)
class Alignment:
    """Mean similarity of images to their own caption, to others' captions, and of held-out pairs to their own.

    forgetting: how much less the owner's pairs agree than held-out ones of their kind, in standard deviations of
    the held-out pairs: below 0 the model knows them better, at 0 as well as pairs it never saw.
    membership: the AUC of the same comparison; 0.5 tells nothing.
    """

    own: float
    others: float | None
    held_out: float | None
    forgetting: float | None
    membership: float | None


@dataclass(frozen=True)
class Audit:
    """What was found, and `before` it, where weights from before were given."""

    model: str
    pairs: int
    held_out: int
    now: Alignment
    before: Alignment | None
    verdict: str
    picture: str | None


def audit_model(
    model: str,
    weights: str | None,
    pairs: Sequence[str],
    held_out: Sequence[str],
    settings: UnlearnSettings,
    before: str | None = None,
    out: Path | None = None,
) -> Audit:
    """Looks for the owner's pairs in a model; `held_out` are pairs of the same kind that nobody trained on.

    With `out`, similarity.png (rows images, columns captions, of the model before and now) and audit.json are
    written there. Raises ValueError for models and pairs that cannot be read.
    """
    check_trained(model, weights)
    device = choose_device(settings.device)
    use_precision(device, settings.precision)
    given = [before, weights] if before else [weights]
    models = [load_model(model, each, device, settings.geometry, settings.size) for each in given]
    own = read_pairs(pairs, models[0].towers.size, settings.limit)
    others = read_pairs(held_out, models[0].towers.size, settings.limit) if held_out else None
    seen = [embed(side, own) for side in models]
    alignments = [align(side, points, others) for side, points in zip(models, seen, strict=True)]
    picture = None
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        picture = out / PICTURE
        matrices = [shown_matrix(side, points) for side, points in zip(models, seen, strict=True)]
        draw(matrices).save(picture)
    count = 0 if others is None else len(others)
    result = Audit(
        model=weights or model,
        pairs=len(own),
        held_out=count,
        now=alignments[-1],
        before=alignments[0] if len(alignments) > 1 else None,
        verdict=verdict(alignments[-1].membership, len(own), count),
        picture=None if picture is None else str(picture),
    )
    if out is not None:
        write_whole(out / REPORT, (json.dumps(asdict(result), indent=1) + "\n").encode())
    return result


def align(model: Clip, points: Embedded, held_out: Pairs | None) -> Alignment:
    """Similarities of the owner's pairs and of held-out ones."""
    true = model.matched(points.images, points.first)
    scores = similarities(model, points.images, points.texts)
    wrong = scores[~points.own]
    others = wrong.mean().item() if len(wrong) else None
    if held_out is None:
        return Alignment(true.mean().item(), others, None, None, None)
    unseen = embed(model, held_out)
    reference = model.matched(unseen.images, unseen.first)
    score = (reference.mean() - true.mean()) / reference.std().clamp(min=1e-9)
    return Alignment(true.mean().item(), others, reference.mean().item(), score.item(), auc(true, reference))


def verdict(membership: float | None, own: int, held_out: int) -> str:
    """What the membership figure means, given how many pairs it stands on."""
    if membership is None:
        return "no verdict: give held-out pairs of the same kind (--forget-test)"
    spread = math.sqrt((own + held_out + 1) / (12 * own * held_out))
    if membership - 0.5 > LUCK * spread:
        return "the model knows these pairs better than others of their kind: most likely it was trained on them"
    if 0.5 - membership > LUCK * spread:
        return (
            "the model knows these pairs less well than others of their kind: a signature of unlearning, or the "
            "held-out pairs are easier"
        )
    return "no sign that the model knows these pairs better than others of their kind"


def shown_matrix(model: Clip, points: Embedded) -> Float[Tensor, "shown shown"]:
    """Similarities of some images (rows) and their captions (columns)."""
    count = len(points.images)
    rows = [i * count // min(SHOWN, count) for i in range(min(SHOWN, count))]
    return model.similarity(points.images[rows], points.first[rows])


def draw(matrices: Sequence[Float[Tensor, "rows columns"]]) -> Image.Image:
    """Matrices side by side on one scale: dark blue lowest, white the middle, red highest."""
    low, high = min(m.min().item() for m in matrices), max(m.max().item() for m in matrices)
    panels = []
    for matrix in matrices:
        value = ((matrix.cpu() - low) / max(high - low, 1e-9)).numpy()
        red, blue = np.clip(2 * value, 0, 1), np.clip(2 - 2 * value, 0, 1)
        colour = np.stack([red, np.minimum(red, blue), blue], axis=2)
        panels.append(np.kron(colour, np.ones((CELL, CELL, 1))))
    gap = np.ones((panels[0].shape[0], 2 * CELL, 3))
    rows = [part for panel in panels for part in (gap, panel)][1:]
    return Image.fromarray((255 * np.concatenate(rows, axis=1)).round().astype(np.uint8))


def to_text(audit: Audit) -> str:
    """The findings for a terminal."""
    lines = [f"{audit.pairs} pairs, {audit.held_out} held out of the same kind"]
    names = {
        "own": "similarity to their own caption",
        "others": "similarity to other captions",
        "held_out": "held-out pairs, to their own",
        "forgetting": "forgetting score (0: as if never seen)",
        "membership": "membership AUC (0.5: cannot be told)",
    }
    for key, name in names.items():
        values = [getattr(side, key) for side in (audit.before, audit.now) if side is not None]
        lines.append(f"{name:40}" + " -> ".join("-" if v is None else f"{v:.3f}" for v in values))
    lines += [audit.verdict] + ([f"picture: {audit.picture}"] if audit.picture else [])
    return "\n".join(lines)
