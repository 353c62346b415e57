"""Oriented sub-bands of a picture's own fine texture, amplified or attenuated.

What a network reads first of a texture is how much of it lies in which direction. A pattern drawn over a picture is
masked by the image's own texture, which is ten times as strong in brightness as in colour. So nothing is drawn: the
texture that is there is amplified in the directions asked for and attenuated in the others. That needs no colour,
which a scraper's JPEG would drop, and leaves no line that two pictures share.
"""

import math
from collections.abc import Collection, Iterator, Sequence
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
    """A direction's stretch of a spectrum: the frequencies where it begins and its weights.

    A band is one of its two sides, twice, so that phase and strength part.
    """

    down: int
    across: int
    weight: np.ndarray


class Spectrum(NamedTuple):
    """Half of the spectrum of a picture with mirrored borders, and a little of the other half.

    values: rows from the lowest frequency down to the highest, columns from -`before` across. shape: of the picture
    with its borders. place: of the picture in it.
    """

    values: np.ndarray
    before: int
    shape: tuple[int, int]
    place: tuple[slice, slice]

    def at(self, down: int, across: int, shape: tuple[int, ...]) -> np.ndarray:
        """A view of the frequencies of this shape that begin here."""
        top, left = down + self.shape[0] // 2, across + self.before
        return self.values[top : top + shape[0], left : left + shape[1]]


def textures(gray: np.ndarray) -> Iterator[np.ndarray]:
    """For an HxW picture in 255ths its texture in each direction, complex64 HxW.

    The real part is what the picture holds of it, the modulus how strong it is at each place.
    """
    spectrum = _spectrum(gray)
    for band in _bands(*spectrum.shape)[0]:
        whole = np.zeros(spectrum.shape, np.complex64)
        down, across = (
            (first + np.arange(count)) % side
            for first, count, side in zip(band[:2], band.weight.shape, spectrum.shape, strict=True)
        )
        whole[np.ix_(down, across)] = spectrum.at(band.down, band.across, band.weight.shape) * band.weight
        yield fft.ifft2(whole)[spectrum.place]


def amplified(
    gray: np.ndarray, directions: Collection[int], amplify: float, attenuate: float, random: np.random.Generator
) -> np.ndarray:
    """The change of an HxW picture, float32 in its own units: these directions amplified, all others attenuated.

    amplify: amplitude that is added in each of them, nearly, where texture is strong; attenuate: share of the others
    taken away.
    """
    grain = np.frombuffer(random.bytes(gray.size), np.uint8).astype(np.float32).reshape(gray.shape)
    grain -= np.float32(127.5)
    grain *= np.float32(GRAIN / BYTES)
    grain += gray
    spectrum = _spectrum(grain)
    bands, together = _bands(*spectrum.shape)
    values = np.empty_like(spectrum.values)
    np.multiply(spectrum.values.view(np.float32), together * np.float32(-attenuate), out=values.view(np.float32))
    made = spectrum._replace(values=values)
    chosen = [bands[direction] for direction in directions]
    for band, change in zip(chosen, _loud(spectrum, chosen, amplify, attenuate), strict=True):
        made.at(*_around(band, change.shape), change.shape)[:] += change
    return fft.irfft2(_half(made), made.shape)[made.place]


def _spectrum(gray: np.ndarray) -> Spectrum:
    height, width = (fft.next_fast_len(side + 2 * MARGIN, real=True) for side in gray.shape)
    around = [(MARGIN, good - side - MARGIN) for good, side in zip((height, width), gray.shape, strict=True)]
    half = fft.rfft2(np.pad(gray.astype(np.float32, copy=False), around, mode="reflect"))
    middle, before = height // 2, math.ceil(ROOM * width) + 2
    values = np.zeros((height, before + half.shape[1]), np.complex64)
    values[:middle, before:], values[middle:, before:] = half[height - middle :], half[: height - middle]
    rows = _paired(height)
    values[rows, :before] = values[rows, before + 1 : 2 * before + 1][::-1, ::-1].conj()
    place = tuple(slice(MARGIN, MARGIN + side) for side in gray.shape)
    return Spectrum(values, before, (height, width), (place[0], place[1]))


def _paired(height: int) -> slice:
    """Rows of a spectrum that mirror each other: all, without the lowest one where their number is even."""
    return slice(1 - height % 2, height)


def _half(spectrum: Spectrum) -> np.ndarray:
    """The half spectrum of a real picture, with what was put into the other half."""
    values, before, height = spectrum.values, spectrum.before, spectrum.shape[0]
    rows, middle = _paired(height), height // 2
    values[rows, before : 2 * before + 1] += values[rows, : before + 1][::-1, ::-1].conj()
    return np.concatenate([values[middle:, before:], values[:middle, before:]])


@lru_cache(maxsize=SHAPES)
def _bands(height: int, width: int) -> tuple[list[Band], np.ndarray]:
    """The band of each direction, and the weights of all together, for each real and imaginary part of a spectrum.

    Where `_half` adds what lies opposite, a weight stands once: not before the column of frequency 0, and half in it.
    """
    before = math.ceil(ROOM * width) + 2
    room = Spectrum(np.zeros((height, before + width // 2 + 1), np.float32), before, (height, width), (slice(0),) * 2)
    bands = []
    for angle in np.pi * np.arange(DIRECTIONS) / DIRECTIONS:
        side = 1 if np.cos(angle) >= 0 else -1
        (down, fall), (across, swell) = _side(side * np.sin(angle), height), _side(side * np.cos(angle), width)
        bands.append(Band(down, across, 2 * np.outer(fall, swell).astype(np.float32)))
        room.at(down, across, bands[-1].weight.shape)[:] += bands[-1].weight / 2
    rows = _paired(height)
    room.values[rows, before : 2 * before + 1] += room.values[rows, : before + 1][::-1, ::-1]
    room.values[:, before] /= 2
    room.values[:, :before] = 0
    return bands, np.repeat(room.values, 2, axis=1)


def _side(direction: float, length: int) -> tuple[int, np.ndarray]:
    """The first frequency of a band along one side, and the weights from there on."""
    middle = direction / PERIOD * length
    reach = REACH * length
    found = np.arange(math.ceil(middle - reach), math.floor(middle + reach) + 1)
    return int(found[0]), np.exp(-(((found - middle) / (WIDTH * length)) ** 2) / 2)


def _around(band: Band, shape: tuple[int, ...]) -> tuple[int, int]:
    """Where a wider stretch begins that has a band in its middle."""
    height, width = band.weight.shape
    return band.down - (shape[0] - height) // 2, band.across - (shape[1] - width) // 2


def _loud(spectrum: Spectrum, bands: Sequence[Band], amplify: float, attenuate: float) -> np.ndarray:
    """What is added to each of these bands: nearly the same strength wherever the picture holds something of it, and
    what is taken from all.

    Each is worked on alone, at the low resolution that its width asks for.
    """
    shape = tuple(fft.next_fast_len(math.ceil(2 * ROOM * side)) for side in spectrum.shape)
    own = np.zeros((len(bands), *shape), np.complex64)
    for whole, band in zip(own, bands, strict=True):
        down, across = _around(band, shape)
        inner = whole[band.down - down :, band.across - across :][: band.weight.shape[0], : band.weight.shape[1]]
        np.multiply(spectrum.at(band.down, band.across, band.weight.shape), band.weight, out=inner)
    held = fft.ifft2(own, norm="forward")
    pixels = math.prod(spectrum.shape)  # by which `held` and the change are larger than they would be in whole
    strength = held.real * held.real
    strength += held.imag * held.imag
    strength += np.float32((FAINT * pixels) ** 2)
    np.sqrt(strength, out=strength)
    strength *= np.float32(1 / pixels)
    held.real /= strength
    held.imag /= strength
    own *= np.float32(attenuate / 2)
    even = fft.fft2(held, norm="forward", overwrite_x=True)
    even *= np.float32(amplify / 2)
    own += even
    return own
