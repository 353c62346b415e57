"""Is my data still in there? What the owner of pairs can see of a model from its similarities alone (black box)."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from protect.clip.device import choose_device, use_precision
from protect.files import write_whole
from protect.settings.unlearn import UnlearnSettings
from protect.unlearn.attacks import Attack, attacks, strongest
from protect.unlearn.checkpoint import check_trained, load_model
from protect.unlearn.head import Clip
from protect.unlearn.judge import BATCH, Embedded, embed, similarities
from protect.unlearn.model_file import named
from protect.unlearn.pairs import Pairs, read_pairs
from protect.unlearn.shifts import most, shifted
from protect.unlearn.similarity_picture import draw, shown_matrix

PICTURE, REPORT = "similarity.png", "audit.json"
BY_HEART = 0.75  # of pictures preferred to shifted copies, known by heart more are; of unseen ones 0.60 to 0.65 were
LUCK = 2.4  # the best of three AUCs within this many standard deviations of 0.5 says nothing (at 5 %)


@dataclass(frozen=True)
class Alignment:
    """Mean similarity of images to their own caption, to others' captions, and of held-out pairs to their own.

    forgetting: how much less the owner's pairs agree than held-out ones of their kind, in standard deviations of
    the held-out pairs: below 0 the model knows them better, at 0 as well as pairs it never saw.
    membership: of each attack, see `attacks`; an AUC of 0.5 tells nothing. exact: share of the owner's pairs whose
    picture agrees with its caption better than copies shifted by a few pixels do.
    """

    own: float
    others: float | None
    held_out: float | None
    forgetting: float | None
    membership: dict[str, Attack] | None
    exact: float


@dataclass(frozen=True)
class Audit:
    """What was found, and `before` it, where weights from before were given.

    skipped: pictures that could not be read or have no caption.
    """

    model: str
    pairs: int
    skipped: int
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
    name, weights, size = named(model, weights, settings.size)
    check_trained(name, weights)
    device = choose_device(settings.device)
    use_precision(device, settings.precision)
    given = [before, weights] if before else [weights]
    models = [load_model(name, each, device, settings.geometry, size) for each in given]
    own = read_pairs(pairs, models[0].towers.size, settings.limit)
    others = read_pairs(held_out, models[0].towers.size, settings.limit) if held_out else None
    seen = [embed(side, own) for side in models]
    alignments = [align(side, points, own, others) for side, points in zip(models, seen, strict=True)]
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
        skipped=own.skipped,
        held_out=count,
        now=alignments[-1],
        before=alignments[0] if len(alignments) > 1 else None,
        verdict=verdict(alignments[-1], len(own), count),
        picture=None if picture is None else str(picture),
    )
    if out is not None:
        write_whole(out / REPORT, (json.dumps(asdict(result), indent=1) + "\n").encode())
    return result


def align(model: Clip, points: Embedded, own: Pairs, held_out: Pairs | None) -> Alignment:
    """Similarities of the owner's pairs, embedded as `points`, and of held-out ones."""
    true = model.matched(points.images, points.first)
    scores = similarities(model, points.images, points.texts)
    wrong = scores[~points.own]
    others = wrong.mean().item() if len(wrong) else None
    exact = exact_share(model, own, points)
    if held_out is None:
        return Alignment(true.mean().item(), others, None, None, None, exact)
    unseen = embed(model, held_out)
    reference = model.matched(unseen.images, unseen.first)
    score = (reference.mean() - true.mean()) / reference.std(correction=0).clamp(min=1e-9)
    found = attacks(model, own, held_out)
    return Alignment(true.mean().item(), others, reference.mean().item(), score.item(), found, exact)


@torch.inference_mode()
def exact_share(model: Clip, pairs: Pairs, points: Embedded) -> float:
    """See `Alignment.exact`. Who understands a picture has no reason to prefer it to its shifted copies by much."""
    better = []
    for rows in torch.arange(len(pairs)).split(BATCH):
        images, texts = pairs.images(rows, model.towers.device), points.first[rows]
        step = max(1, most(images) // 2)
        ways = torch.tensor([(step, 0), (-step, 0), (0, step), (0, -step)])
        copies = [model.matched(model.images(shifted(images, way.expand(len(rows), 2))), texts) for way in ways]
        better.append(model.matched(points.images[rows], texts) > torch.stack(copies).mean(dim=0))
    return torch.cat(better).float().mean().item()


def verdict(found: Alignment, own: int, held_out: int) -> str:
    """The plain answer: what the attack that is furthest from guessing means, given how many pairs it stands on."""
    membership = found.membership
    if membership is None and found.exact - BY_HEART > LUCK * math.sqrt(BY_HEART * (1 - BY_HEART) / own):
        return (
            f"Probably yes: {found.exact:.0%} of your pictures agree with their captions better than copies shifted "
            "by a few pixels do, as if the model knew these very files by heart. To be sure, name pairs of the same "
            "kind that nobody trained on with --forget-test, such as photos that you never published."
        )
    if membership is None:
        return (
            "Cannot say: there is nothing to compare these pairs with. Name pairs of the same kind that nobody "
            "trained on with --forget-test, such as photos that you never published."
        )
    name, best = strongest(membership)
    spread = math.sqrt((own + held_out + 1) / (12 * own * held_out))
    said = f"attack by {name}: AUC {best.auc:.3f} ± {best.error:.3f}"
    if best.auc - 0.5 > LUCK * spread:
        return f"Yes, most likely: the model knows these pairs better than others of their kind ({said})."
    if 0.5 - best.auc > LUCK * spread:
        return (
            f"Not as such: the model knows these pairs less well than others of their kind ({said}). Either "
            "something was unlearned, or the other pairs are easier."
        )
    least = 0.5 + LUCK * spread
    return (
        "No sign of it: the model does not know these pairs better than others of their kind "
        f"({said}; with so many pairs, {least:.2f} and more would be a sign)."
    )


def to_text(audit: Audit) -> str:
    """The answer, then the findings, for a terminal."""
    left_out = f", {audit.skipped} left out (no caption, or not readable)" if audit.skipped else ""
    lines = [audit.verdict, f"{audit.pairs} pairs{left_out}, {audit.held_out} held out of the same kind"]
    names = {
        "own": "similarity to their own caption",
        "others": "similarity to other captions",
        "held_out": "held-out pairs, to their own",
        "forgetting": "forgetting score (0: as if never seen)",
        "exact": "preferred to their shifted copies",
    }
    sides = [side for side in (audit.before, audit.now) if side is not None]
    for key, name in names.items():
        values = [getattr(side, key) for side in sides]
        lines.append(f"{name:40}" + " -> ".join("-" if v is None else f"{v:.3f}" for v in values))
    for attack in audit.now.membership or ():
        values = [side.membership[attack] for side in sides if side.membership is not None]
        lines.append(f"{f'AUC by {attack} (0.5: cannot be told)':40}" + " -> ".join(_auc(one) for one in values))
    return "\n".join(lines + ([f"picture: {audit.picture}"] if audit.picture else []))


def _auc(one: Attack) -> str:
    return f"{one.auc:.3f} ± {one.error:.3f}"
