"""Every kind of row: how its pairs are made from the clean and the published ones."""

import hashlib
import json
import pickle
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from protect.settings.verify import VerifySettings
from protect.verify.countermeasures import COUNTERMEASURES, Captions, Countermeasure, losses
from protect.verify.countermeasures.base import ChangePicture
from protect.verify.reading.image_store import Pictures
from protect.verify.reading.pairs import Pairs, are_whole, read_pairs, reduced
from protect.verify.records import CLEAN, MATCHED, PROTECTED, Group, mix_names
from protect.verify.runs.material import Material
from protect.verify.runs.mixtures import absent, mixed
from protect.verify.runs.row import Made, Row, said

_Make = Callable[[Material, VerifySettings], Made]


def built(row: Row, material: Material, settings: VerifySettings) -> Made:
    """The row's pairs, their pictures in a file; ValueError when none are left."""
    made = row.make(material, settings)
    if not len(made.pairs):
        raise ValueError(f"{row.name}: expected pairs to train on, got none: every one was dropped")
    return made._replace(pairs=made.pairs.stored(material.path(row.name)))


def forget(row: Row, material: Material) -> None:
    """Removes the files that `built` wrote for a row."""
    for path in _files(row.name, material):
        path.unlink(missing_ok=True)


def digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


# Further files


def further_row(name: str) -> Row:
    """Files of another protector, as published."""
    return Row(
        name,
        Group.FURTHER,
        partial(_further, name),
        partial(_named, [name]),
        name,
        partial(said, "further files, as published"),
        f"uses {name}",
    )


def _further(name: str, material: Material, settings: VerifySettings) -> Made:
    keep = material.numbers.__contains__
    return Made(read_pairs([material.sources[name]], material.size, keep=keep, store=material.path(name)))


# Mixtures


def mixture_rows(percent: float) -> list[Row]:
    """A training set with so many per cent protected pairs, and the same without those."""
    owned = f"{percent:g} % of the pairs are the owner's"
    kinds = ((mixed, PROTECTED, "the others clean"), (absent, CLEAN, "left out of the training set"))
    return [
        Row(
            name,
            Group.MIXTURE,
            partial(_mixture, make, percent),
            partial(_named, ["mixture", name]),
            reference,
            partial(said, f"{owned}; {rest}"),
            percent=percent,
            with_owner=reference == PROTECTED,
        )
        for name, (make, reference, rest) in zip(mix_names(percent), kinds, strict=True)
    ]


def _mixture(make: Any, percent: float, material: Material, settings: VerifySettings) -> Made:
    return Made(make(material, percent))


# Countermeasures


def countermeasure_row(name: str) -> Row:
    """What attackers do to the published files or, as clean:NAME, its matched control: the same on clean files.

    The control of a row that leaves fewer captions or pairs depends on the published files too, by their number.
    """
    how, control = COUNTERMEASURES[name.removeprefix(MATCHED)], name.startswith(MATCHED)
    reference, note = (CLEAN, f"clean files; {how.help}") if control else (PROTECTED, how.help)
    make: _Make = partial(_countered, how, name, reference)
    if control and how.amount:
        make, reference = partial(_as_many, how, name), PROTECTED
        note = f"clean files: the pairs that {how.name} leaves, each with as many clean captions"
    return Row(
        name,
        Group.CONTROL if control else Group.COUNTERMEASURE,
        make,
        partial(_countered_content, how, name),
        reference,
        partial(said, note),
        how.deed,
        claim=not control,
        regime=how.regime,
        transforms_test=how.transforms_test,
        strong=how.strong and not control,
        slow=how.slow,
    )


def _countered(how: Countermeasure, name: str, reference: str, material: Material, settings: VerifySettings) -> Made:
    if how.from_clean is not None:
        how = how.from_clean(material.clean)
    elif how.setting is not None and how.from_setting is not None:
        how = how.from_setting(getattr(settings, how.setting))
    pairs = before = {CLEAN: material.clean, PROTECTED: material.protected}[reference]
    if how.picture is not None:
        pairs = _edited(before, how.picture, name, reference, material)
    if how.captions is not None:
        pairs = pairs.recaptioned(how.captions(pairs.captions))
    if how.pairs is not None:
        pairs = how.pairs(pairs)
    return Made(pairs, _transformed_test(how, name, material), losses(before, pairs))


def _edited(before: Pairs, edit: ChangePicture, name: str, reference: str, material: Material) -> Pairs:
    """The pairs with every picture edited as stored; files are read anew only where larger pictures were reduced."""
    keep, (_, store, _), size = material.numbers.__contains__, _files(name, material), material.size
    if not are_whole(before.pictures, size):
        return read_pairs([material.sources[reference]], size, keep=keep, edit=edit, store=store)
    pictures = (np.asarray(reduced(edit(Image.fromarray(picture)), size)) for picture in before.pictures)
    return replace(before, pictures=Pictures.write(store, pictures))


def _as_many(how: Countermeasure, name: str, material: Material, settings: VerifySettings) -> Made:
    """Clean pairs of the keys that a countermeasure leaves, each with as many captions as that leaves it."""
    left, clean = _countered(how, name, PROTECTED, material, settings).pairs, material.clean
    pairs = clean.select([material.numbers[key] for key in left.keys])
    captions = [clean_lines(*lines) for lines in zip(pairs.captions, left.captions, strict=True)]
    pairs = pairs.recaptioned(captions)
    return Made(pairs, None, losses(clean, pairs))


def clean_lines(clean: Captions, left: Captions) -> Captions:
    """As many clean captions as are left: those that are left themselves, then the first of the others."""
    same = [line for line in left if line in clean]
    return (*same, *(line for line in clean if line not in same))[: len(left)]


def _transformed_test(how: Countermeasure, name: str, material: Material) -> Path | None:
    """A file of the test pairs with pictures and captions changed as those of the row; None when it changes none."""
    if material.held_out is None or not how.transforms_test:
        return None
    test = material.held_out.read(material.size, how.picture)
    if how.test_captions is not None:
        test = replace(test, captions=tuple(how.test_captions(test.captions)))
    *_, path = _files(name, material)
    path.write_bytes(pickle.dumps(test))
    return path


def _countered_content(how: Countermeasure, name: str, material: Material, settings: VerifySettings) -> list[Any]:
    if how.setting is None:
        return [name, None]
    return [name, [_contents(part) for part in getattr(settings, how.setting).split("=")]]


def _contents(value: str) -> str:
    """What a setting stands for, for a hash: the bytes of a file, or of all in a folder, else the text itself."""
    path = Path(value)
    files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    if not path.exists():
        return value
    whole = hashlib.sha256()
    for one in files:
        with one.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()


# Common to several kinds


def _named(names: Sequence[str], material: Material, settings: VerifySettings) -> list[Any]:
    return list(names)


def _files(name: str, material: Material) -> tuple[Path, Path, Path]:
    """A row's pictures, its pictures as stored before other changes, its transformed test pairs."""
    return material.path(name), material.path(f"{name} as stored"), material.path(f"{name} test")
