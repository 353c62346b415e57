"""Dilution: a training set of which only a share is protected, and the same without the owner's pairs."""

from collections.abc import Iterator

import numpy as np

from protect.seeds import derive
from protect.verify.reading.image_store import Pictures
from protect.verify.reading.pairs import Pairs
from protect.verify.runs.material import Material


def owned(keys: tuple[str, ...], percent: float) -> frozenset[str]:
    """The keys that belong to the owner: drawn once, so that a larger share holds all of a smaller one."""
    order = sorted(keys, key=lambda key: derive(0, "mix", key))
    return frozenset(order[: round(len(order) * percent / 100)])


def mixed(material: Material, percent: float) -> Pairs:
    """The owner's pairs as published, the others clean, in the clean order; what was not published is missing."""
    own, clean = owned(material.clean.keys, percent), material.clean
    published = {key: i for i, key in enumerate(material.protected.keys)}
    rows = [i for i, key in enumerate(clean.keys) if key not in own or key in published]
    keys = tuple(clean.keys[i] for i in rows)

    def pictures() -> Iterator[np.ndarray]:
        for i, key in zip(rows, keys, strict=True):
            yield material.protected.pictures[published[key]] if key in own else clean.pictures[i]

    captions = [
        material.protected.captions[published[key]] if key in own else clean.captions[i]
        for i, key in zip(rows, keys, strict=True)
    ]
    stored = Pictures.write(material.path(f"mix-{percent:g}"), pictures())
    return Pairs(keys, stored, tuple(captions), clean.skipped)


def absent(material: Material, percent: float) -> Pairs:
    """The others' pairs alone."""
    own, clean = owned(material.clean.keys, percent), material.clean
    return clean.select([i for i, key in enumerate(clean.keys) if key not in own])
