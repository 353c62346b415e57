"""Oriented sub-bands of a picture's own fine texture, amplified or attenuated.

What a network reads first of a texture is how much of it lies in which direction. A pattern drawn over a picture is
masked by the image's own texture, which is ten times as strong in brightness as in colour. So nothing is drawn: the
texture that is there is amplified in the directions asked for and attenuated in the others. That needs no colour,
which a scraper's JPEG would drop, and leaves no line that two pictures share.
"""

import math
from collections.abc import Collection, Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import fft

PERIOD = 3.5  # pixels between the lines of a texture
DIRECTIONS = 10
WIDTH = 0.03  # of a direction's band in the spectrum, cycles a pixel (standard deviation of a Gaussian)
REACH = 0.12  # cycles a pixel from the middle of a band to where it ends
ROOM = 0.15  # the same of a band whose strength was evened out, which makes it wider
MARGIN = 16  # pixels mirrored around a picture, so that its borders do not touch each other
GRAIN = 8.0  # noise (standard deviation, 255ths) that decides where the lines are on flat areas
FAINT = 4.0  # strength of a texture that gets 0.7 of the amplitude; flat areas, where it would show, get less
BYTES = 73.9  # standard deviation of evenly distributed bytes
SHAPES = 16  # whose bands are kept, up to a megabyte each


class Band(NamedTuple):
    """A direction's stretch of a spectrum: the frequencies (whole numbers, also negative) and their weights."""

    down: np.ndarray
    across: np.ndarray
    weight: np.ndarray


def textures(gray: np.ndarray) -> Iterator[np.ndarray]:
    """For an HxW picture in 255ths its texture in each direction, complex64 HxW.

    The real part is what the picture holds of it, the modulus how strong it is at each place.
    """
    spectrum, place, shape = _spectrum(gray)
    for band in _bands(*shape)[0]:
        whole = np.zeros(shape, np.complex64)
        whole[np.ix_(band.down, band.across)] = _cut(spectrum, band, shape)
        yield fft.ifft2(whole)[place]


def amplified(
    gray: np.ndarray, directions: Collection[int], amplify: float, attenuate: float, random: np.random.Generator
) -> np.ndarray:
    """The change of an HxW picture, float32 in its own units: these directions amplified, all others attenuated.

    amplify: amplitude that is added in each of them, nearly, where texture is strong; attenuate: share of the others
    taken away.
    """
    grain = np.frombuffer(random.bytes(gray.size), np.uint8).astype(np.float32).reshape(gray.shape)
    spectrum, place, shape = _spectrum(gray + (grain - np.float32(127.5)) * np.float32(GRAIN / BYTES))
    bands, together = _bands(*shape)
    made = np.empty_like(spectrum)  # part by part, since processors differ in how they round complex products
    np.multiply(spectrum.real, together * np.float32(-attenuate), out=made.real)
    np.multiply(spectrum.imag, together * np.float32(-attenuate), out=made.imag)
    for direction in directions:
        band = bands[direction]
        texture = _cut(spectrum, band, shape)
        _add(made, band, texture, np.float32(attenuate / 2))
        _add(made, *_evened(band, texture, shape), np.float32(amplify / 2))
    return fft.irfft2(made, shape)[place]


def _spectrum(gray: np.ndarray) -> tuple[np.ndarray, tuple[slice, slice], tuple[int, int]]:
    """The half spectrum of a picture with mirrored borders, the place of the picture in it, and the shape of both."""
    borders = [min(MARGIN, side - 1) for side in gray.shape]
    sides = [side + 2 * border for side, border in zip(gray.shape, borders, strict=True)]
    shape = fft.next_fast_len(sides[0], real=True), fft.next_fast_len(sides[1], real=True)
    around = [(border, border + good - side) for border, good, side in zip(borders, shape, sides, strict=True)]
    place = tuple(slice(border, border + side) for border, side in zip(borders, gray.shape, strict=True))
    mirrored = np.pad(gray.astype(np.float32, copy=False), around, mode="reflect")
    return fft.rfft2(mirrored), (place[0], place[1]), shape


@lru_cache(maxsize=SHAPES)
def _bands(height: int, width: int) -> tuple[list[Band], np.ndarray]:
    """The band of each direction, and the weights of all together in a half spectrum.

    A band is one of its two sides, twice, so that phase and strength part.
    """
    together = np.zeros((height, width // 2 + 1), np.float32)
    bands = []
    for angle in np.pi * np.arange(DIRECTIONS) / DIRECTIONS:
        (down, fall), (across, swell) = (_side(*side) for side in ((np.sin(angle), height), (np.cos(angle), width)))
        bands.append(Band(down, across, 2 * np.outer(fall, swell).astype(np.float32)))
        _add(together, bands[-1], bands[-1].weight, np.float32(0.5))
    return bands, together


def _side(direction: float, length: int) -> tuple[np.ndarray, np.ndarray]:
    """The frequencies of a band along one side, and their weights."""
    middle = direction / PERIOD * length
    reach = REACH * length
    found = np.arange(math.ceil(middle - reach), math.floor(middle + reach) + 1)
    return found, np.exp(-(((found - middle) / (WIDTH * length)) ** 2) / 2)


def _cut(spectrum: np.ndarray, band: Band, shape: tuple[int, int]) -> np.ndarray:
    """The weighted values of a band, from the half of a spectrum whose other half mirrors it."""
    minus = np.searchsorted(band.across, 0)
    values = np.empty(band.weight.shape, np.complex64)
    values[:, minus:] = spectrum[np.ix_(band.down % shape[0], band.across[minus:])]
    np.conjugate(spectrum[np.ix_(-band.down % shape[0], -band.across[:minus])], out=values[:, :minus])
    values.real *= band.weight
    values.imag *= band.weight
    return values


def _add(spectrum: np.ndarray, band: Band, values: np.ndarray, share: np.float32) -> None:
    """Add the values of a band to both halves of a spectrum, of which one is kept."""
    minus, plus = np.searchsorted(band.across, 0), np.searchsorted(band.across, 0, "right")
    values, height = values * share, len(spectrum)
    spectrum[np.ix_(band.down % height, band.across[minus:])] += values[:, minus:]
    spectrum[np.ix_(-band.down % height, -band.across[:plus])] += values[:, :plus].conj()


def _evened(band: Band, texture: np.ndarray, shape: tuple[int, int]) -> tuple[Band, np.ndarray]:
    """A band with nearly the same strength wherever the picture holds something of it.

    It is worked on alone, at the low resolution that its width asks for.
    """
    if not texture.size:  # a picture of a pixel or two
        return band, texture
    sides = tuple(fft.next_fast_len(math.ceil(2 * ROOM * side)) for side in shape)
    start = [int(side[0]) - (room - len(side)) // 2 for side, room in zip(band[:2], sides, strict=True)]
    wide = Band(start[0] + np.arange(sides[0]), start[1] + np.arange(sides[1]), band.weight)
    whole = np.zeros(sides, np.complex64)
    place = tuple(slice(s[0] - first, s[0] - first + len(s)) for s, first in zip(band[:2], start, strict=True))
    whole[place] = texture
    held = fft.ifft2(whole, norm="forward", overwrite_x=True)
    pixels = shape[0] * shape[1]  # by which `held` and the change are larger than they would be in whole
    strength = np.sqrt(held.real**2 + held.imag**2 + np.float32((FAINT * pixels) ** 2))
    strength *= np.float32(1 / pixels)
    held.real /= strength
    held.imag /= strength
    return wide, fft.fft2(held, norm="forward", overwrite_x=True)
