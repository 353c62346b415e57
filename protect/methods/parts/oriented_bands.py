"""A picture's own fine texture by direction, and a picture in which some directions are louder than others.

What a network reads first of a texture is how much of it lies in which direction. A pattern drawn over a picture has
to be heard above what the picture has there itself, ten times as loud in brightness as in colour. So nothing is
drawn: the texture that is there is made louder in the directions asked for and quieter in the others, its lines where
they were. That needs no colour, which a scraper's JPEG would drop, and leaves no line that two pictures share.
"""

from collections.abc import Collection, Iterator
from functools import lru_cache

import numpy as np

PERIOD = 3.5  # pixels between the lines of a texture
DIRECTIONS = 10
WIDTH = 0.03  # of a direction's band in the spectrum, cycles a pixel (standard deviation of a Gaussian)
MARGIN = 16  # pixels mirrored around a picture, so that its borders do not touch each other
GRAIN = 8.0  # noise (standard deviation, 255ths) that decides where the lines are on flat areas
FAINT = 4.0  # strength of a texture that gets seven tenths of the loudness; flat areas get less, and look it


def textures(gray: np.ndarray) -> Iterator[np.ndarray]:
    """For an HxW picture in 255ths its texture in each direction, complex64 HxW.

    The real part is what the picture holds of it, the modulus how strong it is at each place.
    """
    down, across = (min(MARGIN, side - 1) for side in gray.shape)
    spectrum = np.fft.fft2(np.pad(gray.astype(np.float32), [(down, down), (across, across)], mode="reflect"))
    for window in _windows(*spectrum.shape):
        yield np.fft.ifft2(spectrum * window)[down : down + gray.shape[0], across : across + gray.shape[1]]


def louder(
    gray: np.ndarray, directions: Collection[int], loudness: float, hush: float, random: np.random.Generator
) -> np.ndarray:
    """The change of an HxW picture, float32 in its own units: these directions become loud, the others quieter.

    loudness: amplitude that is added in each of them, nearly, where texture is strong; hush: share of the others
    taken away.
    """
    change = np.zeros(gray.shape, np.float32)
    grain = GRAIN * random.standard_normal(gray.shape, np.float32)
    for direction, texture in enumerate(textures(gray + grain)):
        if direction in directions:
            change += loudness * texture.real / np.hypot(np.abs(texture), FAINT)
        else:
            change -= hush * texture.real
    return change


@lru_cache(maxsize=8)
def _windows(height: int, width: int) -> np.ndarray:
    """The band of each direction in a spectrum: one of its two sides, twice, so that phase and strength part."""
    angles = np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    down, across = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)
    away = [(down - np.sin(a) / PERIOD) ** 2 + (across - np.cos(a) / PERIOD) ** 2 for a in angles]
    return (2 * np.exp(-np.array(away) / (2 * WIDTH**2))).astype(np.float32)
