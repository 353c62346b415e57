"""How far a published picture is from the original: the largest change, PSNR, SSIM."""

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

from protect.data.optional import missing
from protect.data.views import _display

WINDOW, SIGMA = 11, 1.5
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2  # keep SSIM's quotients finite, as in the paper
STRIP = 256
FULL_SCALE = 256  # pixels a side: SSIMULACRA2 halves a picture five times, and is tuned to all six sizes
BLOCK = 32  # rows or columns that one product blurs


@dataclass(frozen=True)
class Distortion:
    """Largest change of a pixel in 255ths, PSNR in dB (inf when equal), SSIM (1 when equal)."""

    linf: int
    psnr: float
    ssim: float


def measure(clean: np.ndarray, published: np.ndarray) -> Distortion:
    """All three between two HxWx3 uint8 pictures."""
    counts = _changes(clean, published)
    if not counts[1:].any():
        return Distortion(0, math.inf, 1.0)
    return Distortion(int(counts.nonzero()[0][-1]), _psnr(counts), ssim(clean, published))


def linf(a: np.ndarray, b: np.ndarray) -> int:
    """Largest change of a pixel, in 255ths."""
    return int(_changes(a, b).nonzero()[0][-1])


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio over all channels, in dB; inf when equal."""
    return _psnr(_changes(a, b))


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Structural similarity (Wang et al. 2004, Gaussian window of 11, sigma 1.5), mean over channels.

    Pictures whose longer side is above 1080 are compared at display size, that is scaled down to 1080.
    When a side is shorter than the window, the window shrinks to the largest odd size that fits.
    """
    _check(a, b)
    x, y = _display(a), _display(b)
    kernel = _kernel(min(x.shape[:2]))
    total, height = 0.0, len(x) - len(kernel) + 1
    for top in range(0, height, BLOCK):
        rows = slice(top, min(height, top + BLOCK) + len(kernel) - 1)
        total += float(_likeness(x[rows], y[rows], kernel).sum(dtype=np.float64))
    return total / (height * (x.shape[1] - len(kernel) + 1) * x.shape[2])


def _likeness(x: np.ndarray, y: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """SSIM of each window and channel of a strip, in no order that matters."""
    (rows, columns, channels), planar = x.shape, (0, 2, 1)
    parts = np.empty((rows, 4, channels, columns), np.float32)
    parts[:, 0], parts[:, 1] = x.transpose(planar), y.transpose(planar)
    np.multiply(parts[:, 0], parts[:, 1], out=parts[:, 2])
    np.multiply(parts[:, 0], parts[:, 0], out=parts[:, 3])
    parts[:, 3] += parts[:, 1] * parts[:, 1]
    mean_x, mean_y, both, squared = _blur(parts, kernel)
    product = mean_x * mean_y
    squares = mean_x * mean_x
    squares += mean_y * mean_y
    squared -= squares
    both -= product
    squares += np.float32(C1)
    squared += np.float32(C2)
    product *= 2
    product += np.float32(C1)
    both *= 2
    both += np.float32(C2)
    product *= both
    squares *= squared
    product /= squares
    return product


def can_rate(picture: np.ndarray) -> bool:
    """Whether SSIMULACRA2's scale holds for the picture at display size."""
    return min(_display(picture).shape[:2]) >= FULL_SCALE


def ssimulacra2(clean: np.ndarray, published: np.ndarray) -> float:
    """How people would rate the published picture at display size: 90 no difference seen, 70 high quality, 30 low.

    Raises ImportError without the package of that name.
    """
    try:
        from ssimulacra2 import compute_ssimulacra2
    except ImportError as error:
        raise missing("SSIMULACRA2", "quality") from error
    _check(clean, published)
    return float(compute_ssimulacra2(*(_as_file(_display(picture)) for picture in (clean, published))))


def _as_file(picture: np.ndarray) -> io.BytesIO:
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(file, "PNG", compress_level=0)
    return file


def ssim_along(clean: np.ndarray, change: np.ndarray) -> Callable[[float], float]:
    """SSIM between a picture and picture + s * change as a function of s, without rounding.

    Both are HxWx3 at display size, `change` in 255ths. A value costs a fraction of what `ssim` costs.
    """
    x, n = (np.asarray(image, np.float32) for image in (clean, change))
    kernel = _kernel(min(x.shape[:2]))
    mean_x, mean_n, squared, both, noise = (
        _blur(part.transpose(0, 2, 1)[:, None], kernel)[0] for part in (x, n, x * x, x * n, n * n)
    )
    variance, covariance = squared - mean_x**2, both - mean_x * mean_n
    noise -= mean_n**2

    def at(scale: float) -> float:
        mean_y, shared = mean_x + scale * mean_n, 2 * (variance + scale * covariance) + C2
        light = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
        return float((light * shared / (shared + scale**2 * noise)).mean(dtype=np.float64))

    return at


def _check(a: np.ndarray, b: np.ndarray) -> None:
    if a.shape != b.shape or a.ndim != 3 or a.dtype != np.uint8 or b.dtype != np.uint8:
        found = f"{a.dtype} {a.shape} and {b.dtype} {b.shape}"
        raise ValueError(f"expected two uint8 HxWx3 pictures of one size, got {found}; resize neither")


def _changes(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """How many values changed by 0, 1 ... 255; in strips, to need little memory."""
    _check(a, b)
    counts = np.zeros(256, np.int64)
    for top in range(0, len(a), STRIP):
        one, other = a[top : top + STRIP], b[top : top + STRIP]
        counts += np.bincount((np.maximum(one, other) - np.minimum(one, other)).ravel(), minlength=256)
    return counts


def _psnr(counts: np.ndarray) -> float:
    error = float(counts @ np.arange(256) ** 2) / int(counts.sum())
    return 10 * math.log10(255**2 / error) if error else math.inf


def _kernel(shorter: int) -> np.ndarray:
    reach = min(WINDOW - 1, shorter - 1) // 2
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / SIGMA) ** 2)
    return (weights / weights.sum()).astype(np.float32)


@lru_cache(maxsize=WINDOW)
def _band(taps: int) -> np.ndarray:
    """The blur of BLOCK values in a row as a matrix: one product is far cheaper than a sum for each tap."""
    kernel = _kernel(taps)
    return np.stack([np.pad(kernel, (row, BLOCK - 1 - row)) for row in range(BLOCK)])


def _blur(parts: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Gaussian mean of rows x parts x channels x columns wherever the window fits: parts x windows, as they come."""
    taps, shape = len(kernel), (len(parts) - len(kernel) + 1, *parts.shape[1:])
    band, plane = _band(taps), np.ascontiguousarray(parts).reshape(len(parts), -1)
    down = np.empty((shape[0], plane.shape[1]), np.float32)
    for top in range(0, shape[0], BLOCK):
        rows = min(BLOCK, shape[0] - top)
        np.matmul(band[:rows, : rows + taps - 1], plane[top : top + rows + taps - 1], out=down[top : top + rows])
    lines = np.ascontiguousarray(down.reshape(shape).swapaxes(0, 1)).reshape(-1, shape[-1])
    width = shape[-1] - taps + 1
    blurred = np.empty((shape[1], len(lines) // shape[1], width), np.float32)
    flat = blurred.reshape(len(lines), width)
    for left in range(0, width, BLOCK):
        columns = min(BLOCK, width - left)
        window = lines[:, left : left + columns + taps - 1]
        np.matmul(window, band[:columns, : columns + taps - 1].T, out=flat[:, left : left + columns])
    return blurred
