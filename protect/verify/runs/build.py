"""From a row's name to the pairs it trains on."""

import hashlib
import json
import pickle
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

from protect.settings.verify import VerifySettings
from protect.verify.countermeasures import COUNTERMEASURES, Countermeasure, losses
from protect.verify.reading.pairs import Pairs, read_pairs
from protect.verify.result import CLEAN, PROTECTED, TWIN, mix_names
from protect.verify.runs.controls import MAKERS, PICTURES_OF, Material
from protect.verify.runs.mixtures import absent, mixed
from protect.verify.runs.plan import Row


class Made(NamedTuple):
    """What a row trains on; test pairs changed as these were, in a file, where it is judged on such; its losses."""

    pairs: Pairs
    alike: Path | None = None
    dropped: tuple[float, float] = (0.0, 0.0)


def make(row: Row, material: Material, settings: VerifySettings) -> Made:
    """The row's pairs, their pictures in a file; ValueError when none are left."""
    if row.group in ("countermeasure", "twin"):
        made = _countered(row, material, settings)
    else:
        made = Made(_plain(row, material))
    if not len(made.pairs):
        raise ValueError(f"{row.name}: expected pairs to train on, got none: every one was dropped")
    return made._replace(pairs=made.pairs.stored(material.path(row.name)))


def _plain(row: Row, material: Material) -> Pairs:
    if row.group == "mandatory":
        return MAKERS[row.name](material)
    if row.group == "extra":
        keep = material.rows.__contains__
        return read_pairs([material.sources[row.name]], material.size, keep=keep, store=material.path(row.name))
    return (mixed if row.name == mix_names(row.percent)[0] else absent)(material, row.percent)


def _countered(row: Row, material: Material, settings: VerifySettings) -> Made:
    """The protected pairs after a countermeasure, or the clean ones for its twin."""
    how = COUNTERMEASURES[row.name.removeprefix(TWIN)]
    if how.needs and how.given is not None:
        how = how.given(material.clean if how.needs == CLEAN else getattr(settings, how.needs))
    twin = row.group == "twin"
    pairs = before = material.clean if twin else material.protected
    if how.picture is not None:
        source, store = material.sources[CLEAN if twin else PROTECTED], material.path(f"{row.name} as stored")
        pairs = read_pairs([source], material.size, keep=material.rows.__contains__, edit=how.picture, store=store)
    if how.captions is not None:
        pairs = pairs.recaptioned(how.captions(pairs.captions))
    if how.pairs is not None:
        pairs = how.pairs(pairs)
    return Made(pairs, _alike(how, row, material), losses(before, pairs))


def _alike(how: Countermeasure, row: Row, material: Material) -> Path | None:
    """A file of the test pairs with pictures and captions changed as those of the row; None when it changes none."""
    if material.unseen is None or not how.judged_alike:
        return None
    test = material.unseen.read(material.size, how.picture)
    if how.alike is not None:
        test = replace(test, captions=tuple(how.alike(test.captions)))
    path = material.path(f"{row.name} test")
    path.write_bytes(pickle.dumps(test))
    return path


def forget(row: Row, material: Material) -> None:
    """Removes the files that `make` wrote for a row."""
    for name in (row.name, f"{row.name} as stored", f"{row.name} test"):
        material.path(name).unlink(missing_ok=True)


def content(row: Row, material: Material, settings: VerifySettings) -> list[Any]:
    """What decides a row's pairs, for a hash: rows of equal content share their runs.

    A trigger of no words is stripped to what it was; noise of no size is the clean picture.
    """
    if row.group == "mandatory":
        noisy = row.name == "random-noise"
        pairs = material.clean if noisy else MAKERS[row.name](material)
        return [PICTURES_OF[row.name], material.found.epsilon if noisy else 0, digest(pairs.keys, pairs.captions)]
    how = COUNTERMEASURES.get(row.name.removeprefix(TWIN))
    named = {how.needs: getattr(settings, how.needs)} if how and how.needs in asdict(settings) else {}
    fields = asdict(replace(row, claim=False))
    del fields["times"]  # the number of epochs is part of the recipe
    return [fields, named, *(["judged alike"] if how and how.judged_alike else [])]


def digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
