"""How much of the noise is left in a file, at the size at which models are trained, in all and by band.

A platform resizes and compresses, which weakens fine detail more than coarse detail. In each band of the spectrum
the downloaded picture is explained as gain x original + share x noise + rest by least squares; `share` is what is
left. Without the original the two gains are taken to be one: that of the protected picture.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import fft

PERIODS = (2.0, 3.0, 5.0, 10.0, 24.0, 1e9)  # pixels a wave, at training size: borders between bands
NAMES = ("finest", "fine", "middle", "coarse", "coarsest")
PLANES = (("brightness", (0.299, 0.587, 0.114)), ("colour", (-0.169, -0.331, 0.5)), ("colour", (0.5, -0.419, -0.081)))
FAINT = 0.01  # share of the noise's energy below which a band is not told of
MOST = 2.0  # share left, at most: sharpening can amplify noise, anything above is a failed fit


@dataclass(frozen=True)
class Band:
    """A band of the spectrum: its waves in pixels at training size, its share of the noise, what is left of that."""

    name: str
    shortest: float
    longest: float
    weight: float
    left: float


@dataclass(frozen=True)
class NoiseLeft:
    """Shares of the noise that are left: in all (weighted by the energy of each band), and in each band."""

    left: float
    bands: tuple[Band, ...]


def noise_left(found: np.ndarray, mine: np.ndarray, noise: np.ndarray, exact: bool) -> NoiseLeft:
    """Compares float32 HxWx3 pictures of one size, aligned: downloaded, protected, and the noise in the latter.

    exact: the noise is protected minus original; otherwise it only shows where noise is strong.
    """
    window = np.outer(*(np.hanning(side + 2)[1:-1] for side in found.shape[:2])).astype(np.float32)
    period = _periods(*found.shape[:2])
    rows: list[tuple[str, int, float, float]] = []  # plane, band, energy of the noise, share left
    for plane, weights in PLANES:
        seen, held, added = (
            _spectrum(picture @ np.array(weights, np.float32), window) for picture in (found, mine, noise)
        )
        for number in range(len(NAMES)):
            inside = (period >= PERIODS[number]) & (period < PERIODS[number + 1])
            parts = seen[inside], held[inside], added[inside]
            if len(parts[0]):
                rows.append((plane, number, _energy(parts[2]), _share(*parts, exact)))
    total = sum(row[2] for row in rows)
    if total <= 0:
        raise ValueError("noise: expected some, found none in the protected file; give the one that was written")
    return NoiseLeft(sum(row[2] * row[3] for row in rows) / total, tuple(_bands(rows, total)))


def _bands(rows: list[tuple[str, int, float, float]], total: float) -> Iterator[Band]:
    for plane in ("brightness", "colour"):
        for number, name in enumerate(NAMES):
            same = [row for row in rows if row[:2] == (plane, number)]
            energy = sum(row[2] for row in same)
            if energy >= FAINT * total:
                left = sum(row[2] * row[3] for row in same) / energy
                longest = PERIODS[number + 1]
                yield Band(f"{name}, {plane}", PERIODS[number], longest, energy / total, left)


def _share(seen: np.ndarray, held: np.ndarray, added: np.ndarray, exact: bool) -> float:
    """What is left of the noise in some waves."""
    if not exact:
        weight = np.abs(added) ** 2
        return _limited(_dot(weight * seen, held) / max(_dot(weight * held, held), 1e-9))
    clean = held - added
    gram = np.array([[_dot(clean, clean), _dot(clean, added)], [_dot(clean, added), _dot(added, added)]])
    return _limited(float(np.linalg.lstsq(gram, [_dot(seen, clean), _dot(seen, added)], rcond=1e-6)[0][1]))


def _limited(share: float) -> float:
    return min(MOST, max(0.0, share))


def _dot(one: np.ndarray, two: np.ndarray) -> float:
    return float((one.real * two.real + one.imag * two.imag).sum())


def _energy(values: np.ndarray) -> float:
    return _dot(values, values)


def _spectrum(plane: np.ndarray, window: np.ndarray) -> np.ndarray:
    return fft.rfft2((plane - plane.mean()) * window)


def _periods(height: int, width: int) -> np.ndarray:
    """Pixels a wave, of each place of a half spectrum; the mean (no wave) lies outside all bands."""
    frequency = np.hypot(fft.fftfreq(height)[:, None], fft.rfftfreq(width)[None])
    return 1 / np.maximum(frequency, 1e-12)
