"""Oriented sub-bands of a picture's own fine texture, amplified or attenuated.

What a network reads first of a texture is how much of it lies in which direction. A pattern drawn over a picture is
masked by the image's own texture, which is ten times as strong in brightness as in colour. So nothing is drawn: the
texture that is there is amplified in the directions asked for and attenuated in the others. That needs no colour,
which a scraper's JPEG would drop, and leaves no line that two pictures share.
"""

from collections.abc import Collection, Iterator
from functools import lru_cache

import numpy as np

PERIOD = 3.5  # pixels between the lines of a texture
DIRECTIONS = 10
WIDTH = 0.03  # of a direction's band in the spectrum, cycles a pixel (standard deviation of a Gaussian)
MARGIN = 16  # pixels mirrored around a picture, so that its borders do not touch each other
GRAIN = 8.0  # noise (standard deviation, 255ths) that decides where the lines are on flat areas
FAINT = 4.0  # strength of a texture that gets 0.7 of the amplitude; flat areas, where it would show, get less


def textures(gray: np.ndarray) -> Iterator[np.ndarray]:
    """For an HxW picture in 255ths its texture in each direction, complex64 HxW.

    The real part is what the picture holds of it, the modulus how strong it is at each place.
    """
    down, across = (min(MARGIN, side - 1) for side in gray.shape)
    spectrum = np.fft.fft2(np.pad(gray.astype(np.float32), [(down, down), (across, across)], mode="reflect"))
    for window in _windows(*spectrum.shape):
        yield np.fft.ifft2(spectrum * window)[down : down + gray.shape[0], across : across + gray.shape[1]]


def amplified(
    gray: np.ndarray, directions: Collection[int], amplify: float, attenuate: float, random: np.random.Generator
) -> np.ndarray:
    """The change of an HxW picture, float32 in its own units: these directions amplified, all others attenuated.

    amplify: amplitude that is added in each of them, nearly, where texture is strong; attenuate: share of the others
    taken away.
    """
    change = np.zeros(gray.shape, np.float32)
    grain = GRAIN * random.standard_normal(gray.shape, np.float32)
    for direction, texture in enumerate(textures(gray + grain)):
        if direction in directions:
            change += amplify * texture.real / np.hypot(np.abs(texture), FAINT)
        else:
            change -= attenuate * texture.real
    return change


@lru_cache(maxsize=8)
def _windows(height: int, width: int) -> np.ndarray:
    """The band of each direction in a spectrum: one of its two sides, twice, so that phase and strength part."""
    angles = np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    down, across = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)
    away = [(down - np.sin(a) / PERIOD) ** 2 + (across - np.cos(a) / PERIOD) ** 2 for a in angles]
    return (2 * np.exp(-np.array(away) / (2 * WIDTH**2))).astype(np.float32)
