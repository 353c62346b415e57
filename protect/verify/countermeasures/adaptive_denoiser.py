"""An attacker who owns the tool but not the key: a denoiser and a detector learned from pairs of their own.

The recipe of LightShed (Foerster et al. 2025, USENIX Security) with a smaller network. The attacker protects clean
pairs with another key and trains on both sides of them: what can be learned of the tool, the networks know.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from PIL import Image

from protect.verify.checks.detector import Detector, crops, trained_detector
from protect.verify.countermeasures.base import Countermeasure, Kind
from protect.verify.countermeasures.denoiser import Denoiser, restored, train_denoiser
from protect.verify.countermeasures.scraper import stored
from protect.verify.reading.pairs import read_pairs

FEWEST, MOST = 1000, 2000  # own pairs
STEPS = 600
UNREDUCED = 1 << 30  # pixels: pictures are looked at as they are stored


def adapt(own: str, fewest: int = FEWEST) -> Countermeasure:
    """The row for an attacker with own pairs: CLEAN=PROTECTED, two sources of the same keys as for `scrape`.

    Raises ValueError when fewer than `fewest` keys have pictures of one size in both.
    """
    clean, equals, published = own.partition("=")
    if not (clean and equals and published):
        raise ValueError(f"own_pairs: expected CLEAN=PROTECTED, two folders, got {own!r}")
    known = own_pairs(clean, published)
    if len(known) < fewest:
        raise ValueError(
            f"own_pairs: expected at least {fewest} keys with pictures of one size in {clean} and {published}, got "
            f"{len(known)}; protect more pairs of your own"
        )
    denoiser, detector = train_denoiser(known, STEPS), _detector(known)
    return replace(ADAPTIVE, setting=None, picture=partial(cleaned, denoiser=denoiser, detector=detector))


def own_pairs(clean: str, published: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """The first published pictures and their originals, as scrapers store them."""
    before = read_pairs([clean], UNREDUCED, MOST, edit=stored)
    originals = dict(zip(before.keys, before.pictures, strict=True))
    after = read_pairs([published], UNREDUCED, MOST, originals.__contains__, stored)
    both = [(picture, originals[key]) for key, picture in zip(after.keys, after.pictures, strict=True)]
    return [(a, b) for a, b in both if a.shape == b.shape]


def cleaned(picture: Image.Image, denoiser: Denoiser, detector: Detector) -> Image.Image:
    """The stored picture, without its noise where the detector takes it for protected."""
    pixels = np.asarray(stored(picture))
    with torch.inference_mode():
        protected = bool(detector(crops([pixels])) > 0)
    return Image.fromarray(restored(denoiser, pixels) if protected else pixels)


def _detector(known: Sequence[tuple[np.ndarray, np.ndarray]]) -> Detector:
    published, clean = zip(*known, strict=True)
    return trained_detector(crops(clean), crops(published))


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
ROWS = (ADAPTIVE,)
