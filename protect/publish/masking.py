"""Where the eye sees noise and where it does not, and how much noise a picture bears.

Texture hides noise: the contrast that is just seen grows with the contrast already there (contrast masking, Legge
and Foley 1980). Flat sky, skin and what is out of focus hide none. A lone edge beside a flat area hides little, so
contrast is averaged geometrically over a neighbourhood. Tones in which a step of the pixel value is a large step of
CIE lightness (dark, but not black) get a little less.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image
from scipy.ndimage import uniform_filter

from protect.data.views import DISPLAY
from protect.publish.quality import ssim_along
from protect.publish.sampled_ssim import DOUBT, sampled_ssim

LEAST = 0.25  # share of the noise that is left on perfectly flat areas: without it the rule would end there
FULL = 12.9  # local contrast, in 255ths (standard deviation), from which on all of the noise is used
FLAT = 4.0  # variance below which contrast is sensor noise and rounding
CELL = 4  # pixels at display size between two values of the mask; a contrast is measured over twice as many
ROOTS, LOGARITHMS = 16, 256  # entries of the tables for one unit
STRIP = 1024  # rows worked on at a time
ROUNDING = 0.001  # SSIM that whole 255ths may cost beside the exact change


@dataclass(frozen=True)
class Fit:
    """The noise that a picture bears: `scale` times what was asked, with its epsilon and SSIM at display size."""

    scale: float
    epsilon: float
    ssim: float

    @property
    def lowered(self) -> bool:
        return self.scale < 1


def visibility_mask(picture: np.ndarray, least: float = LEAST) -> np.ndarray:
    """For an HxWx3 uint8 picture, float32 HxW in [least, 1]: the share of the noise that each pixel may get."""
    height, width = picture.shape[:2]
    return mask_rows(display_mask(picture, least), height, width, 0, height)


def display_mask(picture: np.ndarray, least: float = LEAST) -> np.ndarray:
    """The same for each cell of the picture at display size; `mask_rows` enlarges it.

    The mask changes slowly, so that one value for CELL x CELL pixels is enough.
    """
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or not picture.size:
        raise ValueError(f"picture: expected uint8 HxWx3, got {picture.dtype} {picture.shape}; convert it to RGB")
    if not 0 <= least <= 1:
        raise ValueError(f"least: expected a share of 0 to 1, got {least}; 1 is no mask")
    return grey_mask(display_grey(picture), least)


def grey_mask(grey: np.ndarray, least: float = LEAST) -> np.ndarray:
    """The mask of a picture whose grey values at display size are these, HxW, uint8 or float32."""
    mean, variance = _local(grey)
    logarithms, contrasts, tones = _tables()
    texture = logarithms[_nearest(np.sqrt(variance) * ROOTS)]
    contrast = contrasts[_nearest(_mean(_mean(texture, 2), 1) * LOGARITHMS)]
    return np.clip(contrast * tones[_nearest(_mean(mean, 1))], np.float32(least), np.float32(1))


@cache
def _tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logarithm of a variance by its root; share of FULL by the mean of logarithms; share by a tone.

    Looked up instead of computed, since processors differ in the last bit of a logarithm.
    """
    roots, logarithms = np.arange(129 * ROOTS) / ROOTS, np.arange(10 * LOGARITHMS) / LOGARITHMS
    tables = np.round(np.log(roots**2 + FLAT), 4), np.round(np.exp(logarithms / 2) / FULL, 6), np.round(_tone(), 6)
    return tables[0].astype(np.float32), tables[1].astype(np.float32), tables[2].astype(np.float32)


def _nearest(values: np.ndarray) -> np.ndarray:
    return np.rint(values).astype(np.int16)


def _local(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of the grey values around the middle of each cell, over twice its side."""
    height, width = (math.ceil(side / CELL) for side in grey.shape)
    before = CELL // 2
    after = ((height + 1) * CELL - before - grey.shape[0], (width + 1) * CELL - before - grey.shape[1])
    grey = np.pad(grey, ((before, after[0]), (before, after[1])), mode="edge").astype(np.float32, copy=False)
    mean, square = (_windows(values) for values in (grey, grey * grey))
    return mean, np.maximum(square - mean * mean, 0)


def _windows(values: np.ndarray) -> np.ndarray:
    """Means over 2 x 2 cells, each overlapping the next by half."""
    rows = values.reshape(-1, CELL, values.shape[1]).sum(axis=1)
    rows = rows[1:] + rows[:-1]
    cells = rows[:, ::CELL] + rows[:, 1::CELL] + rows[:, 2::CELL] + rows[:, 3::CELL]
    return (cells[:, 1:] + cells[:, :-1]) / np.float32(4 * CELL * CELL)


def mask_rows(mask: np.ndarray, height: int, width: int, top: int, bottom: int) -> np.ndarray:
    """Rows top to bottom of a mask brought to height x width; the strips of a picture fit together."""
    if mask.shape == (height, width):
        return mask[top:bottom]
    down = mask.shape[0] / height
    box = (0, top * down, mask.shape[1], min(mask.shape[0], bottom * down))
    return np.asarray(Image.fromarray(mask).resize((width, bottom - top), Image.Resampling.BILINEAR, box))


def fit_epsilon(clean: np.ndarray, change: np.ndarray, epsilon: float, floor: float) -> Fit:
    """The largest scale <= 1 of `change` that keeps SSIM at display size at or above `floor`.

    `clean` is uint8 HxWx3; `change` float32 HxWx3 or HxWx1, masked, in 255ths, made with `epsilon`: at the picture's
    size or at another that is stretched to it. The codec is not in it: `tighter` answers that. SSIM is measured on a
    grid of windows where that leaves no doubt that nothing has to be lowered, else on all.
    """
    if clean.ndim != 3 or change.ndim != 3 or change.shape[2] not in (1, clean.shape[2]):
        raise ValueError(f"change: expected HxWx3 for a picture {clean.shape}, got {change.shape}; upsample it first")
    if not 0 <= floor <= 1:
        raise ValueError(f"floor: expected an SSIM of 0 to 1, got {floor}")
    shape = _display_shape(*clean.shape[:2])
    small = _resized(clean, shape)
    changed = np.clip(small + _resized(change, shape), 0, 255)
    sampled = sampled_ssim(*(np.rint(picture).astype(np.uint8) for picture in (small, changed)))
    if sampled >= floor + DOUBT + ROUNDING:
        return Fit(1.0, epsilon, sampled)
    ssim = ssim_along(small, changed - small)
    scale = 1.0
    while scale and (measured := ssim(scale)) < floor + (ROUNDING if scale < 1 else 0):
        scale = tighter(scale, measured, floor + ROUNDING)
    return Fit(scale, scale * epsilon, ssim(scale))


def tighter(scale: float, measured: float, floor: float) -> float:
    """A smaller scale for a file whose own SSIM, codec included, was measured below the floor.

    1 - SSIM grows with the square of the noise at most, so this alone would come near the floor from below; 2 % of
    the scale are taken on top to end above it after a try or two.
    """
    return scale * min(1.0, math.sqrt(max(0.0, 1 - floor) / max(1e-9, 1 - measured))) * 0.98


def display_grey(picture: np.ndarray) -> np.ndarray:
    """A picture's grey values at display size, float32; strip by strip, so that a panorama needs little memory."""
    height, width = picture.shape[:2]
    blocks = max(1, max(height, width) // DISPLAY)
    rows = max(blocks, STRIP // blocks * blocks)
    strips = (Image.fromarray(np.ascontiguousarray(picture[top : top + rows])) for top in range(0, height, rows))
    grey = np.concatenate([np.asarray(strip.convert("L").reduce(blocks), np.float32) for strip in strips])
    return _resized(grey, _display_shape(height, width))


def _display_shape(height: int, width: int) -> tuple[int, int]:
    scale = min(1.0, DISPLAY / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _resized(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """HxW or HxWxC at another size, as float32."""
    if values.shape[:2] == shape:
        return values.astype(np.float32)
    if values.ndim == 3:
        return np.stack([_resized(values[..., c], shape) for c in range(values.shape[2])], axis=2)
    plane = Image.fromarray(np.ascontiguousarray(values, np.float32))
    return np.asarray(plane.resize(shape[::-1], Image.Resampling.BICUBIC))


def _mean(plane: np.ndarray, reach: int) -> np.ndarray:
    """Mean over a square of 2 * reach + 1 cells; the border goes on outwards."""
    return uniform_filter(plane, 2 * reach + 1, mode="nearest")


def _tone() -> np.ndarray:
    """For each pixel value, at most 1: how small a step of CIE lightness the next pixel value is, against white."""
    value = np.arange(257) / 255
    light = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    lightness = np.where(light <= 0.008856, 903.3 * light, 116 * np.cbrt(light) - 16)
    steps = np.diff(lightness)
    return np.minimum(1, steps[254] / steps)
