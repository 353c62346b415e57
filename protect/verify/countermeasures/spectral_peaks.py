"""A notch filter: attackers look for peaks in the spectrum, where any pattern that repeats across pictures shows.

Frequencies at which published pictures have, on average, more energy than similar pictures do are suspicious. In
every picture that stands out there, they are attenuated to the level of neighbouring frequencies. The clean pictures
of the set serve as similar pictures.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from statistics import median_low

import numpy as np
from PIL import Image

from protect.verify.countermeasures.base import Changed, Countermeasure, Kind
from protect.verify.countermeasures.word_means import LARGEST
from protect.verify.reading.pairs import Pairs, centre

COARSEST = 1 / 16  # cycles a pixel; what changes more slowly is left alone
NEAR, FAR = 1, 3  # bins around a frequency: those within NEAR may belong to its peak, those up to FAR are neighbours
USUAL = 1.25  # times what is usual beside the neighbours, geometric mean over the set: more is suspicious
LOUD = 1.5  # times the neighbours, from which a picture is changed at a suspicious frequency
LOOKED_AT = 2000  # pictures
TINY = 1e-6


def notch_filter(clean: Pairs) -> Countermeasure:
    """The row for attackers who know the usual spectrum of such pictures."""
    return replace(NOTCH_FILTER, from_clean=None, pairs=partial(without_peaks, usual=clean.pictures))


def without_peaks(pairs: Pairs, usual: Sequence[np.ndarray]) -> Pairs:
    """The pairs with frequencies attenuated at which their pictures have more energy than usual."""
    side = min(LARGEST, median_low(min(picture.shape[:2]) for picture in pairs.pictures))
    excess = outstanding(pairs.pictures, side) - outstanding(usual, side)
    fine = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)) >= COARSEST
    suspected = (excess > np.log(USUAL)) & fine
    return replace(pairs, pictures=Changed(len(pairs), lambda i: attenuated(pairs.pictures[i], suspected)))


def outstanding(pictures: Sequence[np.ndarray], side: int) -> np.ndarray:
    """By how much each frequency is above its neighbours, mean of logarithms over the pictures' middle squares."""
    total, chosen = np.zeros((side, side)), range(0, len(pictures), max(1, len(pictures) // LOOKED_AT))
    for i in chosen:
        square = np.asarray(centre(Image.fromarray(pictures[i]), side)).astype(np.float64)
        total += np.log(np.abs(spectrum(square)[0]) + TINY).mean(2)
    mean = total[..., None] / len(chosen)
    return (mean - _neighbours(mean))[..., 0]


def attenuated(picture: np.ndarray, suspected: np.ndarray) -> np.ndarray:
    """The picture with those frequencies brought down to their neighbours' level where they exceed it."""
    rows, columns = (_places(length, min(picture.shape[:2]), len(suspected)) for length in picture.shape[:2])
    asked = suspected[np.ix_(rows, columns)] & (rows >= 0)[:, None] & (columns >= 0)
    if not asked.any():
        return picture
    inner, edges = spectrum(picture.astype(np.float64))
    size = np.abs(inner) + TINY
    around = np.exp(_neighbours(np.log(size)))
    quiet = np.where(asked[..., None] & (size > LOUD * around), inner * (around / size), inner)
    return np.fft.ifft2(quiet + edges, axes=(0, 1)).real.clip(0, 255).round().astype(np.uint8)


def _places(length: int, short: int, side: int) -> np.ndarray:
    """For each frequency along a side of a picture, its place in a spectrum of S; -1 for those that S cannot show."""
    waves = np.round(np.fft.fftfreq(length) * short).astype(int)  # in the middle square
    return np.where(2 * np.abs(waves) < side, waves % side, -1)


def spectrum(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A picture's spectrum in two parts; the second is owed to borders that do not fit together.

    Moisan 2011, periodic plus smooth image decomposition.
    """
    border = np.zeros_like(pixels)
    border[0] += pixels[-1] - pixels[0]
    border[-1] += pixels[0] - pixels[-1]
    border[:, 0] += pixels[:, -1] - pixels[:, 0]
    border[:, -1] += pixels[:, 0] - pixels[:, -1]
    down, across = (2 * np.cos(2 * np.pi * np.fft.fftfreq(length)) - 2 for length in pixels.shape[:2])
    scale = down[:, None] + across
    scale[0, 0] = 1.0  # the border adds up to nothing
    edges = np.fft.fft2(border, axes=(0, 1)) / scale[..., None]
    return np.fft.fft2(pixels, axes=(0, 1)) - edges, edges


def _neighbours(values: np.ndarray) -> np.ndarray:
    """Mean of the square of 7 x 7 around each place, but for the 3 x 3 in its middle; spectra have no border."""
    wide, narrow = _box(values, FAR), _box(values, NEAR)
    return (wide - narrow) / ((2 * FAR + 1) ** 2 - (2 * NEAR + 1) ** 2)


def _box(values: np.ndarray, reach: int) -> np.ndarray:
    for axis in (0, 1):
        values = np.sum([np.roll(values, step, axis) for step in range(-reach, reach + 1)], axis=0)
    return values


NOTCH_FILTER = Countermeasure(
    "notch-filter",
    Kind.ADAPTIVE,
    "frequencies where published pictures have more energy than similar ones attenuated to their neighbours' level",
    "filters out patterns that repeat across pictures",
    from_clean=notch_filter,
)
ROWS = (NOTCH_FILTER,)
