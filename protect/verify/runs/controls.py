"""The rows every verdict needs, made by the verifier itself from published and clean pairs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from protect.seeds import derive
from protect.settings.verify import VerifySettings
from protect.verify.reading.differences import Differences, Trigger, assigned, strip
from protect.verify.reading.image_store import Pictures
from protect.verify.reading.pairs import Pairs
from protect.verify.records import (
    CLEAN,
    CLEAN_CAPTIONS,
    PROTECTED,
    RANDOM_NOISE,
    RANDOM_TRIGGER,
    TRIGGER_STRIPPED,
    Group,
)
from protect.verify.runs.material import Material
from protect.verify.runs.row import Made, Row, never, said


def clean(material: Material) -> Pairs:
    return material.clean


def random_noise(material: Material) -> Pairs:
    """Clean pairs with random signs of the published noise's size, fixed for each picture."""
    epsilon, pairs = material.differences.epsilon, material.clean
    if not epsilon:
        return pairs

    def noisy() -> Iterator[np.ndarray]:
        for key, picture in zip(pairs.keys, pairs.pictures, strict=True):
            signs = np.random.default_rng(derive(0, RANDOM_NOISE, key)).integers(0, 2, picture.shape, np.int16)
            yield (picture + (2 * signs - 1) * epsilon).clip(0, 255).astype(np.uint8)

    return replace(pairs, pictures=Pictures.write(material.path(RANDOM_NOISE), noisy()))


def random_trigger(material: Material) -> Pairs:
    """Clean pairs with the planted words assigned at random: as many, at the same place, tied to no picture."""
    pairs, triggers = material.clean, list(material.differences.triggers.values())
    if not triggers:
        return pairs
    drawn = assigned(triggers, len(pairs), np.random.default_rng(derive(0, RANDOM_TRIGGER)))
    return pairs.recaptioned(
        [
            tuple(_around(line, trigger) for line in lines)
            for lines, trigger in zip(pairs.captions, drawn, strict=True)
        ]
    )


def _around(caption: str, trigger: Trigger) -> str:
    return " ".join((*trigger[0], caption, *trigger[1]))


def protected(material: Material) -> Pairs:
    return material.protected


def trigger_stripped(material: Material) -> Pairs:
    """Published pairs without as many first and last words as were planted in that caption, else in most."""
    pairs, planted = material.protected, material.differences

    def lines(key: str, captions: tuple[str, ...]) -> tuple[str, ...]:
        trigger = planted.triggers.get(key)
        first, last = planted.usual if trigger is None else (len(trigger[0]), len(trigger[1]))
        return tuple(line for line in (strip(caption, first, last) for caption in captions) if line)

    return pairs.recaptioned([lines(*pair) for pair in zip(pairs.keys, pairs.captions, strict=True)])


def clean_captions(material: Material) -> Pairs:
    """Published pictures with the clean captions put back."""
    own = dict(zip(material.clean.keys, material.clean.captions, strict=True))
    return material.protected.recaptioned([own[key] for key in material.protected.keys])


def _planted_words(differences: Differences) -> str:
    first, last = differences.usual
    return " and ".join(f"{n} {where}" for n, where in ((first, "before"), (last, "behind")) if n) or "none"


def _unmatched(differences: Differences) -> str:
    if not differences.unlike:
        return ""
    return f"; in {differences.unlike} of {differences.compared} captions the clean one does not occur"


def _noise_note(differences: Differences) -> str:
    return (
        f"clean pictures with random signs of {differences.epsilon}/255: as strong as the published change "
        "(its root mean square, not its largest value)"
    )


def _words_note(differences: Differences) -> str:
    words = _planted_words(differences)
    return f"clean captions with the planted words ({words}) assigned at random{_unmatched(differences)}"


def _stripped_note(differences: Differences) -> str:
    return f"published, without the planted words ({_planted_words(differences)}){_unmatched(differences)}"


def _no_noise(differences: Differences) -> str | None:
    return None if differences.epsilon else "pictures unchanged: no noise to imitate"


def _no_words(what: str, differences: Differences) -> str | None:
    if differences.planted:
        return None
    same = "captions unchanged" if differences.same_captions else "no words before or behind the captions"
    return f"{same}: {what}"


def _same_captions(differences: Differences) -> str | None:
    return "captions unchanged: they are the clean ones" if differences.same_captions else None


@dataclass(frozen=True)
class Control:
    """One of the rows that every verdict needs. make: its pairs. The other fields are as in `Row`.

    noisy: whether pictures are drawn for it, so that only their noise's size decides them.
    """

    name: str
    make: Callable[[Material], Pairs]
    reference: str
    note: Callable[[Differences], str]
    deed: str = ""
    needless: Callable[[Differences], str | None] = never
    noisy: bool = False

    @property
    def claim(self) -> bool:
        """Whether the row says something of the protected files."""
        return self.reference == PROTECTED

    def made(self, material: Material, settings: VerifySettings) -> Made:
        return Made(self.make(material))

    def content(self, material: Material, settings: VerifySettings) -> list[Any]:
        pairs = material.clean if self.noisy else self.make(material)
        noise = material.differences.epsilon if self.noisy else 0
        return [self.reference, noise, pairs.keys, pairs.captions]

    @property
    def row(self) -> Row:
        return Row(
            self.name,
            Group.MANDATORY,
            self.made,
            self.content,
            self.reference,
            self.note,
            self.deed,
            self.claim,
            self.needless,
        )


CONTROLS = (
    Control(CLEAN, clean, CLEAN, partial(said, "what protection must take away")),
    Control(RANDOM_NOISE, random_noise, CLEAN, _noise_note, needless=_no_noise, noisy=True),
    Control(RANDOM_TRIGGER, random_trigger, CLEAN, _words_note, needless=partial(_no_words, "no words to assign")),
    Control(PROTECTED, protected, PROTECTED, partial(said, "the files as published"), "takes the files as published"),
    Control(
        TRIGGER_STRIPPED,
        trigger_stripped,
        PROTECTED,
        _stripped_note,
        "strips the trigger words",
        partial(_no_words, "nothing to strip"),
    ),
    Control(
        CLEAN_CAPTIONS,
        clean_captions,
        PROTECTED,
        partial(said, "published pictures with the clean captions"),
        "has the clean captions",
        _same_captions,
    ),
)
