"""What comparing published with clean pairs of the same key shows: the words planted, the size of the noise."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from PIL import Image

from protect.samples import Words
from protect.verify.reading.pairs import Pairs

COMPARED = 256  # pictures looked at for the size of the noise

Trigger = tuple[Words, Words]  # before the caption, behind it


@dataclass(frozen=True)
class Differences:
    """What was changed, as far as the files tell.

    epsilon: size of the noise in the attacker's pictures, in 255ths (see `noise_size`). triggers: by key, the
    words planted around the first caption. usual: how many words stand before and behind most captions. unlike:
    captions in which the clean one cannot be found, or that have no counterpart. compared: captions looked at.
    planted: of them, those with words around the clean one.
    """

    epsilon: int
    triggers: dict[str, Trigger]
    usual: tuple[int, int]
    unlike: int
    compared: int
    planted: int

    @property
    def same_captions(self) -> bool:
        """Whether every published caption is the clean one, word for word."""
        return not self.planted and not self.unlike


def differences(clean: Pairs, published: Pairs) -> Differences:
    """Compares what has the same key in both."""
    own = dict(zip(clean.keys, clean.captions, strict=True))
    triggers, counts, unlike = dict[str, Trigger](), Counter[tuple[int, int]](), 0
    for key, captions in zip(published.keys, published.captions, strict=True):
        unlike += abs(len(captions) - len(own[key])) if key in own else 0
        for number, (before, after) in enumerate(zip(own.get(key, ()), captions, strict=False)):
            trigger = planted(before, after)
            if trigger is None:
                unlike += 1
                continue
            counts[len(trigger[0]), len(trigger[1])] += 1
            if number == 0:
                triggers[key] = trigger
    usual = counts.most_common(1)[0][0] if counts else (0, 0)
    compared, words = unlike + counts.total(), counts.total() - counts[0, 0]
    return Differences(noise_size(clean, published), triggers, usual, unlike, compared, words)


def planted(clean: str, published: str) -> Trigger | None:
    """The words before and behind the clean caption inside the published one; None when it is not there."""
    inner, outer = clean.casefold().split(), published.casefold().split()
    extra = len(outer) - len(inner)
    for first in (extra, *range(extra)):
        if first >= 0 and outer[first : first + len(inner)] == inner:
            words = tuple(published.split())
            return words[:first], words[first + len(inner) :]
    return None


def strip(caption: str, first: int, last: int) -> str:
    """The caption without so many words at its ends."""
    words = caption.split()
    return " ".join(words[first : len(words) - last])


def noise_size(clean: Pairs, published: Pairs) -> int:
    """Root mean square of a picture's change, in 255ths: median over the changed pictures of equal keys, else 0.

    The largest change would tell of JPEG, which moves some values much further than the noise did.
    """
    where = {key: i for i, key in enumerate(clean.keys)}
    both = [(where[key], i) for i, key in enumerate(published.keys) if key in where]
    chosen = both[:: max(1, len(both) // COMPARED)]
    changes = [_change(clean.pictures[i], published.pictures[j]) for i, j in chosen]
    changed = [change for change in changes if change]
    return max(1, round(median(changed))) if changed else 0


def _change(clean: np.ndarray, published: np.ndarray) -> float:
    if clean.shape != published.shape:
        height, width = published.shape[:2]
        clean = np.asarray(Image.fromarray(clean).resize((width, height), Image.Resampling.BICUBIC))
    return float(np.sqrt(np.mean((clean.astype(np.float32) - published) ** 2)))


def assigned(triggers: Sequence[Trigger], count: int, random: np.random.Generator) -> list[Trigger]:
    """The triggers in random order, over and over, until there are `count`."""
    order = [int(i) for _ in range(-(-count // len(triggers))) for i in random.permutation(len(triggers))]
    return [triggers[i] for i in order[:count]]
