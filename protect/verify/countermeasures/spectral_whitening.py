"""Spectral whitening across directions, for attackers who know that texture encodes words by its direction.

It needs no clean picture and no key. Each picture's spectrum is cut into rings (by fineness) and sectors (by
direction); within a ring every sector is brought to their mean strength. Coarse shapes and colours stay. Clean
pictures lose information by it too, so attackers are judged on plain and on transformed test pictures.
"""

import numpy as np
from PIL import Image

from protect.verify.countermeasures.base import Countermeasure, Kind
from protect.verify.countermeasures.prefix_dedup import deduplicate
from protect.verify.countermeasures.spectral_peaks import spectrum

COARSEST, FINEST = 16.0, 2.0  # pixels from one line to the next
RINGS, SECTORS = 7, 20
MOST = 4.0  # times that a sector is made louder or quieter in a round, at most
ROUNDS = 2  # sectors overlap: one round leaves half of what is loud
TINY = 1e-6


def whitened(picture: Image.Image) -> Image.Image:
    """The RGB picture with all directions equally strong at every fineness."""
    inner, edges = spectrum(np.asarray(picture.convert("RGB")).astype(np.float64))
    rings, sectors = _rings(*inner.shape[:2]), _sectors(*inner.shape[:2])
    for _ in range(ROUNDS):
        inner *= _gain((np.abs(inner) ** 2).mean(2), rings, sectors)[..., None]
    level = np.fft.ifft2(inner + edges, axes=(0, 1)).real
    return Image.fromarray(level.clip(0, 255).round().astype(np.uint8))


def _gain(power: np.ndarray, rings: np.ndarray, sectors: np.ndarray) -> np.ndarray:
    """What to multiply each frequency by, so that in every ring the sectors come nearer to their geometric mean."""
    gain = np.ones_like(power)
    for ring in rings:
        strength = np.log([_mean(power, ring * sector) + TINY for sector in sectors])
        wanted = np.exp((strength.mean() - strength) / 2).clip(1 / MOST, MOST)
        gain += ring * (np.tensordot(wanted, sectors, 1) - 1)
    return gain


def _mean(power: np.ndarray, weight: np.ndarray) -> float:
    return float((power * weight).sum() / max(weight.sum(), TINY))


def _rings(height: int, width: int) -> np.ndarray:
    """Shares of each frequency in the rings, RINGS x height x width; they add up to 1 between the outer two."""
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))
    octaves = np.log2(np.maximum(radius, TINY) * COARSEST) / np.log2(COARSEST / FINEST) * (RINGS - 1)
    inside = radius >= 1 / COARSEST
    return np.stack([np.clip(1 - np.abs(octaves - ring), 0, 1) * inside for ring in range(RINGS)])


def _sectors(height: int, width: int) -> np.ndarray:
    """Shares of each frequency in the sectors, SECTORS x height x width; they add up to 1."""
    angle = np.arctan2(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)) % np.pi / np.pi * SECTORS
    away = [np.abs((angle - sector + SECTORS / 2) % SECTORS - SECTORS / 2) for sector in range(SECTORS)]
    return np.clip(1 - np.stack(away), 0, 1)


ROWS = (
    Countermeasure(
        "spectral-whitening",
        Kind.ADAPTIVE,
        "fine texture brought to the same strength in all directions, in every picture",
        "equalises the directions of fine texture",
        picture=whitened,
        strong=True,
    ),
    Countermeasure(
        "whiten-and-deduplicate",
        Kind.ADAPTIVE,
        "spectral-whitening and deduplicate-prefixes at once: attackers who know both halves of the protection",
        "equalises the directions of fine texture and drops repeated words",
        picture=whitened,
        strong=True,
        captions=deduplicate,
    ),
)
