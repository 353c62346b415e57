"""An attacker who owns the tool but not the key: a denoiser and a detector learned from pairs of their own.

The recipe of LightShed (Foerster et al. 2025, USENIX Security) with a smaller network. The attacker protects clean
pairs with another key and trains on both sides of them: what can be learned of the tool, the networks know.
"""

from dataclasses import replace
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from protect.verify.checks.detector import Detector, crops, trained_detector
from protect.verify.countermeasures.base import ChangePicture, Countermeasure, Kind
from protect.verify.countermeasures.denoiser import Denoiser, restored, train_denoiser
from protect.verify.countermeasures.scraper import stored
from protect.verify.countermeasures.text import each
from protect.verify.reading.differences import differences, strip
from protect.verify.reading.pairs import read_pairs

FEWEST, MOST = 1000, 2000  # own pairs
STEPS, DETECTOR_STEPS = 600, 400
UNREDUCED = 1 << 30  # pixels: pictures are looked at as they are stored


def adapt(own: str, fewest: int = FEWEST) -> Countermeasure:
    """The row for an attacker with own pairs: CLEAN=PROTECTED, two sources of the same keys as for `scrape`.

    Raises ValueError when fewer than `fewest` keys have pictures of one size in both.
    """
    cleaning, _ = _learned(own, fewest)
    return replace(ADAPTIVE, setting=None, picture=cleaning)


def adapt_and_strip(own: str, fewest: int = FEWEST) -> Countermeasure:
    """The same for an attacker who also drops as many words as the tool planted in most of their own captions."""
    cleaning, (first, last) = _learned(own, fewest)
    stripped = partial(strip, first=first, last=last)
    return replace(ADAPTIVE_STRIP, setting=None, picture=cleaning, captions=partial(each, stripped))


class OwnPairs(NamedTuple):
    """An attacker's (published, clean) pictures, and how many words stand before and behind most own captions."""

    pictures: list[tuple[np.ndarray, np.ndarray]]
    words: tuple[int, int]


def own_pairs(own: str, fewest: int = FEWEST) -> OwnPairs:
    """The first published pictures and their originals, as scrapers store them; errors as `adapt` has them."""
    clean, equals, published = own.partition("=")
    if not (clean and equals and published):
        raise ValueError(f"own_pairs: expected CLEAN=PROTECTED, two folders, got {own!r}")
    before = read_pairs([clean], UNREDUCED, MOST, edit=stored)
    originals = dict(zip(before.keys, before.pictures, strict=True))
    after = read_pairs([published], UNREDUCED, MOST, originals.__contains__, stored)
    both = [(picture, originals[key]) for key, picture in zip(after.keys, after.pictures, strict=True)]
    known = [(a, b) for a, b in both if a.shape == b.shape]
    if len(known) < fewest:
        raise ValueError(
            f"own_pairs: expected at least {fewest} keys with pictures of one size in {clean} and {published}, got "
            f"{len(known)}; protect more pairs of your own"
        )
    return OwnPairs(known, differences(before, after).usual)


@lru_cache(maxsize=1)
def _learned(own: str, fewest: int) -> tuple[ChangePicture, tuple[int, int]]:
    """What own pairs teach, learned once for both rows: how to clean pictures, and how many words are planted."""
    known = own_pairs(own, fewest)
    published, clean = zip(*known.pictures, strict=True)
    detector = trained_detector(crops(clean), crops(published), DETECTOR_STEPS)
    return partial(cleaned, denoiser=train_denoiser(known.pictures, STEPS), detector=detector), known.words


def cleaned(picture: Image.Image, denoiser: Denoiser, detector: Detector) -> Image.Image:
    """The stored picture, without its noise where the detector takes it for protected."""
    pixels = np.asarray(stored(picture))
    with torch.inference_mode():
        protected = bool(detector(crops([pixels])) > 0)
    return Image.fromarray(restored(denoiser, pixels) if protected else pixels)


ADAPTIVE = Countermeasure(
    "adaptive-denoiser",
    Kind.ADAPTIVE,
    "pictures that a detector finds go through a denoiser; both were trained on pairs that the attacker protected "
    "with another key (--own-pairs)",
    "owns the tool and removes the noise with networks trained on own pairs",
    setting="own_pairs",
    from_setting=adapt,
    strong=True,
)
ADAPTIVE_STRIP = Countermeasure(
    "adaptive-denoise-and-strip",
    Kind.ADAPTIVE,
    "as adaptive-denoiser, and as many first and last words dropped as the tool planted in most captions of those "
    "pairs",
    "owns the tool, removes the noise with networks trained on own pairs, and strips the trigger words",
    setting="own_pairs",
    from_setting=adapt_and_strip,
    strong=True,
)
ROWS = (ADAPTIVE, ADAPTIVE_STRIP)
