"""Colour normalisation, for attackers who know that planted words name global colour statistics.

Every channel gets the same mean and spread, and slow changes from top to bottom or side to side are removed. Clean
pictures lose information by it too, so attackers are judged on plain and on transformed test pictures.
"""

import numpy as np
from PIL import Image

from protect.verify.countermeasures.base import Countermeasure, Kind
from protect.verify.countermeasures.prefix_dedup import deduplicate

MEAN, SPREAD = 128.0, 56.0  # of every channel, in 255ths
FLATTEST = 1.0  # a channel that spreads less than this is left so
SLOW = 3  # half waves along a side, at most, that count as slow


def normalised(picture: Image.Image) -> Image.Image:
    """The RGB picture with the same mean and standard deviation in all channels, and no slow change along a side."""
    pixels = np.asarray(picture.convert("RGB")).astype(np.float64)
    pixels -= pixels.mean((0, 1))
    for rows in (pixels, pixels.swapaxes(0, 1)):
        rows -= _slow(rows.mean(1))[:, None]
    pixels *= SPREAD / np.maximum(pixels.std((0, 1)), FLATTEST)
    return Image.fromarray((pixels + MEAN).clip(0, 255).round().astype(np.uint8))


def _slow(profile: np.ndarray) -> np.ndarray:
    """The part of a profile (length x channel, of mean 0) in its first half waves."""
    places = (np.arange(len(profile)) + 0.5) / len(profile)
    waves = np.cos(np.pi * np.outer(np.arange(1, SLOW + 1), places)) * np.sqrt(2 / len(profile))
    return waves.T @ (waves @ profile)


ROWS = (
    Countermeasure(
        "colour-normalisation",
        Kind.ADAPTIVE,
        "every picture brought to the same brightness, colour and contrast, without slow changes along a side",
        "gives all pictures the same brightness and colour",
        picture=normalised,
        strong=True,
    ),
    Countermeasure(
        "normalise-and-deduplicate",
        Kind.ADAPTIVE,
        "colour-normalisation and deduplicate-prefixes at once: attackers who know that the noise is in colours",
        "gives all pictures the same brightness and colour, and drops repeated words",
        picture=normalised,
        strong=True,
        captions=deduplicate,
    ),
)
