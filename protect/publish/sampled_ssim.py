"""SSIM of some windows of a picture instead of all: a small part of the cost, the same to about a thousandth.

The windows lie on a grid that covers the picture evenly. Its steps are odd, so that it does not fall in with the
blocks of 8 pixels of a JPEG. Weights are whole numbers, so that the sums of rows are exact in whatever order they are
added (but for differences above 128); all else is done number by number. So every machine finds the same value.
"""

from functools import lru_cache

import numpy as np

from protect.publish.quality import C1, C2, WINDOW, ssim

WEIGHTS = np.array([1, 8, 37, 112, 218, 272, 218, 112, 37, 8, 1], np.float32)  # of a Gaussian, sigma 1.5, times 1024
TOTAL = np.float32(WEIGHTS.sum() ** 2)
MIDDLE = 128  # taken from all values: weighted products of what is left are exact in float32
ROWS, COLUMNS = 100, 5  # a step of 1 pixel, and 2 more for so many rows; the largest step across
TOGETHER = 32  # rows of windows worked on at a time, about: what a processor keeps near
DOUBT = 0.002  # largest difference from the SSIM of all windows, with room to spare


def sampled_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Structural similarity of two HxWx3 uint8 pictures, mean over channels and a grid of windows.

    Pictures are taken at the size that they have; small ones are compared in full.
    """
    height, width, channels = a.shape
    down, across = step(height), min(COLUMNS, step(width))
    if down == 1 or width < WINDOW:
        return ssim(a, b)
    places, columns = _grid(height, down), _grid(width, across)
    group = max(1, 16 // down)  # rows of windows that share most of their pixels
    band = _band(down, group)
    room = np.empty((4, band.shape[1], width * channels), np.float32)
    total = 0.0
    for start in range(0, len(places), block := group * max(1, TOGETHER // group)):
        some = places[start : start + block]
        means = np.empty((len(some), 4, width, channels), np.float32)
        for first in range(0, len(some), group):
            count = min(group, len(some) - first)
            rows = slice(some[first], some[first] + (count - 1) * down + WINDOW)
            parts = _products(a[rows], b[rows], room)
            sums = means[first : first + count].reshape(count, 4, -1).swapaxes(0, 1)
            np.matmul(band[:count, : parts.shape[1]], parts, out=sums)
        total += float(_likeness(means, columns).sum(dtype=np.float64))
    return total / (len(places) * len(columns) * channels)


def step(length: int) -> int:
    """Pixels between the windows along a side."""
    return 2 * (length // ROWS) + 1


def _grid(length: int, distance: int) -> range:
    """Where windows begin along a side, about as far from its start as from its end."""
    room = length - WINDOW
    return range(room % distance // 2, room + 1, distance)


@lru_cache(maxsize=64)
def _band(distance: int, count: int) -> np.ndarray:
    """The weighted sums of so many windows below each other as a matrix, by row of pixels."""
    return np.stack([np.pad(WEIGHTS, (n * distance, (count - 1 - n) * distance)) for n in range(count)])


def _products(a: np.ndarray, b: np.ndarray, room: np.ndarray) -> np.ndarray:
    """Of some rows of pixels: values of a, of b, their products and the squares of their differences."""
    x, y, product, squares = parts = room[:, : len(a)]
    for values, pixels in ((x, a), (y, b)):
        np.copyto(values, (pixels.reshape(values.shape) ^ MIDDLE).view(np.int8))
    np.multiply(x, y, out=product)
    np.subtract(x, y, out=squares)
    np.multiply(squares, squares, out=squares)
    return parts


def _likeness(means: np.ndarray, columns: range) -> np.ndarray:
    """SSIM of windows that begin at these columns, from rows x 4 x columns x channels.

    It is the usual quotient, in terms of the difference of both pictures, whose sums are small.
    """
    planes = np.ascontiguousarray(means.transpose(1, 0, 3, 2)).reshape(-1, means.shape[2])
    sums = np.zeros((len(planes), len(columns)), np.float32)
    one = np.empty_like(sums)
    for tap, weight in enumerate(WEIGHTS / TOTAL):
        np.multiply(planes[:, columns.start + tap : columns[-1] + tap + 1 : columns.step], weight, out=one)
        sums += one
    mean_x, mean_y, shared, apart = sums.reshape(means.shape[1], -1)
    between = mean_x - mean_y
    between *= between
    shared -= mean_x * mean_y
    shared *= 2
    shared += np.float32(C2)  # twice the covariance
    apart -= between
    apart += shared  # both variances
    mean_x += np.float32(MIDDLE)
    mean_y += np.float32(MIDDLE)
    light = mean_x * mean_y
    light *= 2
    light += np.float32(C1)
    shared *= light
    light += between
    apart *= light
    shared /= apart
    return shared
