"""The rows every verdict needs, made by the verifier itself from published and clean pairs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from protect.seeds import derive
from protect.verify.reading.differences import Differences, Trigger, deal, differences, strip
from protect.verify.reading.image_store import Pictures
from protect.verify.reading.pairs import Pairs
from protect.verify.reading.test_set import Unseen
from protect.verify.result import CLEAN, MANDATORY, PROTECTED


@dataclass(frozen=True)
class Material:
    """What rows are made from, pictures near `size`: clean and published pairs, and where they were read.

    sources: clean, protected and further arms, as for `scrape`. folder: where rows may put their pictures.
    unseen: the test pairs, read anew by rows that change them.
    """

    size: int
    clean: Pairs
    protected: Pairs
    sources: dict[str, str]
    folder: Path = field(compare=False)
    unseen: Unseen | None = None

    @cached_property
    def found(self) -> Differences:
        return differences(self.clean, self.protected)

    @cached_property
    def rows(self) -> dict[str, int]:
        """Number of each key's clean pair."""
        return {key: i for i, key in enumerate(self.clean.keys)}

    def path(self, row: str) -> Path:
        """A file for a row's pictures."""
        return self.folder / f"{derive(self.size, row):x}.pixels"


def clean(material: Material) -> Pairs:
    return material.clean


def random_noise(material: Material) -> Pairs:
    """Clean pairs with random signs of the published noise's size, fixed for each picture."""
    epsilon, pairs = material.found.epsilon, material.clean
    if not epsilon:
        return pairs

    def noisy() -> Iterator[np.ndarray]:
        for key, picture in zip(pairs.keys, pairs.pictures, strict=True):
            signs = np.random.default_rng(derive(0, "random-noise", key)).integers(0, 2, picture.shape, np.int16)
            yield (picture + (2 * signs - 1) * epsilon).clip(0, 255).astype(np.uint8)

    return replace(pairs, pictures=Pictures.write(material.path("random-noise"), noisy()))


def random_trigger(material: Material) -> Pairs:
    """Clean pairs with the planted words dealt out at random: as many, at the same place, bound to nothing."""
    pairs, triggers = material.clean, list(material.found.triggers.values())
    if not triggers:
        return pairs
    dealt = deal(triggers, len(pairs), np.random.default_rng(derive(0, "random-trigger")))
    return pairs.recaptioned(
        [
            tuple(_around(line, trigger) for line in lines)
            for lines, trigger in zip(pairs.captions, dealt, strict=True)
        ]
    )


def _around(caption: str, trigger: Trigger) -> str:
    return " ".join((*trigger[0], caption, *trigger[1]))


def protected(material: Material) -> Pairs:
    return material.protected


def trigger_stripped(material: Material) -> Pairs:
    """Published pairs without as many first and last words as were planted in that caption, else in most."""
    pairs, found = material.protected, material.found

    def lines(key: str, captions: tuple[str, ...]) -> tuple[str, ...]:
        trigger = found.triggers.get(key)
        first, last = found.usual if trigger is None else (len(trigger[0]), len(trigger[1]))
        return tuple(line for line in (strip(caption, first, last) for caption in captions) if line)

    return pairs.recaptioned([lines(*pair) for pair in zip(pairs.keys, pairs.captions, strict=True)])


def clean_captions(material: Material) -> Pairs:
    """Published pictures with the clean captions put back."""
    own = dict(zip(material.clean.keys, material.clean.captions, strict=True))
    return material.protected.recaptioned([own[key] for key in material.protected.keys])


MAKERS: dict[str, Callable[[Material], Pairs]] = dict(
    zip(MANDATORY, (clean, random_noise, random_trigger, protected, trigger_stripped, clean_captions), strict=True)
)
PICTURES_OF = {name: CLEAN if name in MANDATORY[:3] else PROTECTED for name in MANDATORY}


def inapplicable(found: Differences) -> dict[str, str]:
    """The rows that would only be another row once more, each with the reason."""
    rows = dict[str, str]()
    if not found.epsilon:
        rows["random-noise"] = "pictures unchanged: no noise to imitate"
    if not found.planted:
        what = "captions unchanged" if found.same_captions else "no words before or behind the captions"
        rows["random-trigger"] = f"{what}: no words to deal out"
        rows["trigger-stripped"] = f"{what}: nothing to strip"
    if found.same_captions:
        rows["clean-captions"] = "captions unchanged: they are the clean ones"
    return rows


def notes(found: Differences) -> dict[str, str]:
    """What a reader must know of each of these rows."""
    first, last = found.usual
    words = " and ".join(f"{n} {where}" for n, where in ((first, "before"), (last, "behind")) if n) or "none"
    unlike = f"; in {found.unlike} of {found.compared} captions the clean one was not found" if found.unlike else ""
    return {
        CLEAN: "what protection must take away",
        "random-noise": f"clean pictures with random signs of {found.epsilon}/255: as loud as the published change "
        "(its root mean square, not its largest value)",
        "random-trigger": f"clean captions with the planted words ({words}) dealt out at random{unlike}",
        PROTECTED: "the files as published",
        "trigger-stripped": f"published, without the planted words ({words}){unlike}",
        "clean-captions": "published pictures with the clean captions",
    }
