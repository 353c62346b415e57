"""From a row's name to the pairs it trains on."""

import hashlib
import json
from dataclasses import asdict, replace
from typing import Any

from protect.settings import VerifySettings
from protect.verify.arms import MAKERS, PICTURES_OF, Material
from protect.verify.countermeasures import COUNTERMEASURES, Countermeasure
from protect.verify.mixing import absent, mixed
from protect.verify.pairs import Pairs, read_pairs
from protect.verify.planning import Row
from protect.verify.result import CLEAN, PROTECTED, mix_names


def make(row: Row, material: Material, settings: VerifySettings) -> Pairs:
    """The row's pairs, their pictures in a file; ValueError when none are left."""
    if row.group == "mandatory":
        pairs = MAKERS[row.name](material)
    elif row.group == "extra":
        keep = material.rows.__contains__
        pairs = read_pairs([material.sources[row.name]], material.size, keep=keep, store=material.path(row.name))
    elif row.group == "dilution":
        pairs = (mixed if row.name == mix_names(row.percent)[0] else absent)(material, row.percent)
    else:
        pairs = _countered(COUNTERMEASURES[row.name], material, settings)
    if not len(pairs):
        raise ValueError(f"{row.name}: expected pairs to train on, got none: every one was dropped")
    return pairs.stored(material.path(row.name))


def _countered(row: Countermeasure, material: Material, settings: VerifySettings) -> Pairs:
    """The protected pairs after a countermeasure."""
    if row.needs and row.given is not None:
        row = row.given(material.clean if row.needs == CLEAN else getattr(settings, row.needs))
    pairs = material.protected
    if row.picture is not None:
        keep, store = material.rows.__contains__, material.path(f"{row.name} as stored")
        pairs = read_pairs([material.sources[PROTECTED]], material.size, keep=keep, edit=row.picture, store=store)
    if row.captions is not None:
        pairs = pairs.recaptioned(row.captions(pairs.captions))
    return pairs if row.pairs is None else row.pairs(pairs)


def forget(row: Row, material: Material) -> None:
    """Removes the files that `make` wrote for a row."""
    for name in (row.name, f"{row.name} as stored"):
        material.path(name).unlink(missing_ok=True)


def content(row: Row, material: Material, settings: VerifySettings) -> list[Any]:
    """What decides a row's pairs, for a hash: rows of equal content share their runs.

    A trigger of no words is stripped to what it was; noise of no size is the clean picture.
    """
    if row.group == "mandatory":
        noisy = row.name == "random-noise"
        pairs = material.clean if noisy else MAKERS[row.name](material)
        return [PICTURES_OF[row.name], material.found.epsilon if noisy else 0, digest(pairs.keys, pairs.captions)]
    own = COUNTERMEASURES[row.name].needs if row.group == "countermeasure" else ""
    named = {name: value for name, value in asdict(settings).items() if own and name == own}
    return [asdict(replace(row, claim=False)), named]


def digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
