"""What published files show in seconds, before any attacker is trained."""

from collections.abc import Iterator, Sequence

import numpy as np

from protect.verify.checks.detection import detection
from protect.verify.checks.detector import crops, middle
from protect.verify.checks.distances import Distances, distances
from protect.verify.checks.leakage import leaks
from protect.verify.checks.linear_probe import Probe
from protect.verify.checks.trigger_tokens import readers, whole_words
from protect.verify.reading.differences import Trigger, planted
from protect.verify.reading.matched_sample import Sampled, sample
from protect.verify.reading.pairs import Pairs, decoded, reduced
from protect.verify.reading.scrape import Find
from protect.verify.records import Cheap

LIMIT = 2000


def cheap(clean: str, protected: str, size: int = 224, attackers: Sequence[str] = (), limit: int = LIMIT) -> Cheap:
    """Leaks, planted words, distortion and how visible the protection is, on at most `limit` pairs.

    clean and protected: shards or photo folders, as for `scrape`; size: pixels the attackers train at, near which
    detectors look at the pictures. Raises ValueError when the two do not belong together.
    """
    sampled = sample(clean, protected, limit)
    distance = distances(sampled)
    words = [_trigger(a, b) for a, b in zip(sampled.clean, sampled.published, strict=True)]
    known = [(find, trigger) for find, trigger in zip(sampled.published, words, strict=True) if trigger]
    whole: dict[str, float] = {}
    if known:
        captions = [find.captions[0] for find, _ in known]
        whole = whole_words(captions, [trigger for _, trigger in known], readers(attackers, captions))
    pairs = _looked_at(sampled.clean, size), _looked_at(sampled.published, size)
    triggers = {find.key: (_units(before), _units(after)) for find, (before, after) in known}
    probe_published, probe_clean = _probes(*pairs, triggers)
    return Cheap(
        leaks=tuple(leaks(sampled, changed=not _same_captions(sampled))),
        words_survive=whole,
        linf=distance.linf,
        psnr=distance.psnr,
        ssim=distance.ssim,
        reencode_psnr=distance.reencoded[0] if distance.reencoded else None,
        reencode_ssim=distance.reencoded[1] if distance.reencoded else None,
        probe=probe_published,
        detection=detection(*pairs),
        notes=tuple(_notes(sampled, distance, len(known))),
        probe_clean=probe_clean,
        ssimulacra2=distance.rating,
        reencode_ssimulacra2=distance.rating_reencoded,
    )


def _same_captions(sampled: Sampled) -> bool:
    return all(a.captions == b.captions for a, b in zip(sampled.clean, sampled.published, strict=True))


def _trigger(clean: Find, published: Find) -> Trigger | None:
    """The words planted around the first caption; None when there are none, or the clean one is not in it."""
    words = planted(clean.captions[0], published.captions[0])
    return words if words and any(words) else None


def _units(words: Sequence[str]) -> tuple[str, ...]:
    """What the linear probe is asked for: the planted words, or phrases where commas part them."""
    text = " ".join(words)
    return tuple(text.split(", ")) if ", " in text else tuple(words)


def _looked_at(finds: Sequence[Find], size: int) -> Pairs:
    """The middles of the pictures as an attacker keeps them; what cannot be decoded is skipped."""
    usable, pictures = [], []
    for find in finds:
        image = decoded(find)
        if image is not None:
            usable.append(find)
            pictures.append(middle(np.asarray(reduced(image, size))).copy())
    return Pairs(tuple(find.key for find in usable), pictures, tuple(find.captions for find in usable))


def _probes(clean: Pairs, published: Pairs, triggers: dict[str, Trigger]) -> tuple[float | None, float | None]:
    """The probe at the position that is easiest to read, on published and on clean pictures of the same keys."""
    keys = [key for key in published.keys if key in triggers and key in set(clean.keys)]
    counts = {len(before) + len(after) for before, after in triggers.values()}
    if not keys or len(counts) != 1:
        return None, None
    places = [{key: row for row, key in enumerate(pairs.keys)} for pairs in (clean, published)]
    before, after = (
        Probe(crops(pairs.select([place[key] for key in keys]).pictures))
        for pairs, place in zip((clean, published), places, strict=True)
    )
    accuracies: list[tuple[float, float]] = []
    for position in range(counts.pop()):
        words = [(triggers[key][0] + triggers[key][1])[position] for key in keys]
        probe_published, probe_clean = after.accuracy(words), before.accuracy(words)
        if probe_published is not None and probe_clean is not None:
            accuracies.append((probe_published, probe_clean))
    return max(accuracies) if accuracies else (None, None)


def _notes(sampled: Sampled, distance: Distances, known: int) -> Iterator[str]:
    count = len(sampled.published)
    yield f"Checks without training looked at {count} pairs and measured {distance.measured} pictures."
    if len(sampled.files) < sampled.total:
        yield f"Leaks were looked for in {len(sampled.files)} of {sampled.total} shards."
    if sampled.alone:
        yield f"{sampled.alone} published keys have no clean pair to compare with."
    if distance.sizes:
        yield f"{distance.sizes} pictures have another size than the clean one and were not measured."
    if distance.unrated:
        yield distance.unrated
    if distance.equal:
        yield f"{distance.equal} of {distance.measured} pictures are the clean ones, pixel by pixel."
    if _same_captions(sampled):
        yield "Captions are unchanged: there are no planted words whose survival or a probe could be reported."
    elif not known:
        yield "No planted words were found around the clean captions: neither their survival nor a probe is reported."
    elif known < count:
        yield f"{count - known} of {count} captions show no planted words around the clean caption."
