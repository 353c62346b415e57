"""How far a published picture is from the original: the largest change, PSNR, SSIM."""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

DISPLAY = 1024  # SSIM of larger pictures is taken at display size: longer side scaled down to this
WINDOW, SIGMA = 11, 1.5
STRIP = 256


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

    Pictures whose longer side is above 1024 are compared at display size, that is scaled down to 1024.
    When a side is shorter than the window, the window shrinks to the largest odd size that fits.
    """
    _check(a, b)
    x, y = (_display(image).astype(np.float32).transpose(2, 0, 1) for image in (a, b))
    kernel = _kernel(min(x.shape[1:]))
    mean_x, mean_y = _blur(x, kernel), _blur(y, kernel)
    product = mean_x * mean_y
    squares = mean_x**2 + mean_y**2
    covariance = _blur(x * y, kernel) - product
    variances = _blur(x * x + y * y, kernel) - squares
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    likeness = (2 * product + c1) * (2 * covariance + c2) / ((squares + c1) * (variances + c2))
    return float(likeness.mean(dtype=np.float64))


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


def _display(color: np.ndarray) -> np.ndarray:
    height, width = color.shape[:2]
    if max(height, width) <= DISPLAY:
        return color
    scale = DISPLAY / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(np.ascontiguousarray(color)).resize(size, Image.Resampling.BICUBIC))


def _kernel(shorter: int) -> np.ndarray:
    reach = min(WINDOW - 1, shorter - 1) // 2
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / SIGMA) ** 2)
    return (weights / weights.sum()).astype(np.float32)


def _blur(planes: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Gaussian mean wherever the window fits, one side at a time."""
    for axis in (1, 2):
        length = planes.shape[axis] - len(kernel) + 1
        windows = (planes[(slice(None),) * axis + (slice(k, k + length),)] for k in range(len(kernel)))
        total = kernel[0] * next(windows)
        for weight, window in zip(kernel[1:], windows, strict=True):
            total += weight * window
        planes = total
    return planes
