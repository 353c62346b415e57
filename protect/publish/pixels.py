"""Noise added to a picture of any mode and size, strip by strip, and how far two pictures are apart."""

import math
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageChops

from protect.data.images import LUMA
from protect.data.pictures import DEEP, GREY, ROWS, display
from protect.publish.quality import Distortion, ssim
from protect.publish.sampled_ssim import DOUBT, sampled_ssim
from protect.publish.upsample import stretched

HALF = 128  # what no change is written as
TOGETHER = 1 << 20  # pixels changed at a time: cutting up a smaller picture would only cost time
OVER = 1.25  # times epsilon: what is beyond it is clipped once the change is enlarged
FINE = 32  # largest epsilon whose changes are enlarged with 8 bits, as a quarter of a 255th and finer
TRANSPARENT = ("LA", "RGBA")
STILL = (*TRANSPARENT, "CMYK")  # whose last band, alpha or black ink, is never changed
SQUARES = np.arange(256) ** 2


class Difference(NamedTuple):
    """How far a picture is from another: `colors` over all but alpha, `largest` change of a colour, `alpha`'s.

    `largest` and `alpha` are in 255ths; `largest` of a 16-bit picture may be a fraction.
    """

    colors: Distortion
    largest: float
    alpha: int


def with_noise(image: Image.Image, change: np.ndarray, epsilon: int | float) -> Image.Image:
    """A new picture that differs by at most floor(epsilon) 255ths a value; transparency stays.

    `change` is float32 HxWxC in 255ths at any size: it is stretched to the picture's. One channel is brightness:
    all colours move alike. Ink moves against it, grey pictures take its luma (or its only channel), 16-bit ones
    move in steps of 257.
    """
    whole = math.floor(epsilon)
    if image.mode in GREY and change.shape[-1] == 3:
        change = (change @ LUMA)[..., None]
    elif image.mode == "CMYK":
        change = -change
    if image.mode == "I;16" or whole > FINE:
        return _with_any_steps(image, change, whole)
    planes = [_fine(change[..., channel], whole) for channel in range(change.shape[-1])]
    rows = max(ROWS, TOGETHER // image.width)
    if image.height <= rows:
        return ImageChops.add(image, _steps(planes, image, whole, 0, image.height), 1, -HALF)
    new = Image.new(image.mode, image.size)
    for top in range(0, image.height, rows):
        bottom = min(image.height, top + rows)
        clean = image.crop((0, top, image.width, bottom))
        new.paste(ImageChops.add(clean, _steps(planes, image, whole, top, bottom), 1, -HALF), (0, top))
    return new


def _fine(plane: np.ndarray, whole: int) -> Image.Image:
    """A change as 8-bit values around HALF, in steps that are a small part of a 255th: enlarging them is cheap."""
    values = plane * np.float32((HALF - 1) / (OVER * max(1, whole)))
    values += np.float32(HALF + 0.5)  # the fraction is cut off
    return Image.fromarray(np.clip(values, 1, 255.5, out=values).astype(np.uint8))


def _steps(planes: list[Image.Image], image: Image.Image, whole: int, top: int, bottom: int) -> Image.Image:
    """Rows of a change made by `_fine`, at the size of a picture and in its mode: whole steps around HALF."""
    strips, table = [], _whole_steps(whole)
    for plane in planes:
        if plane.size != image.size:
            scale = plane.height / image.height
            box = (0, top * scale, plane.width, min(plane.height, bottom * scale))
            plane = plane.resize((image.width, bottom - top), Image.Resampling.BICUBIC, box)
        elif bottom - top < image.height:
            plane = plane.crop((0, top, image.width, bottom))
        strips.append(plane.point(table))
    return _merged(strips, image.mode)


@cache
def _whole_steps(whole: int) -> list[int]:
    """For each of the values of `_fine`: the whole step that it stands for, above HALF."""
    fine = (np.arange(256) - HALF) * OVER * whole / (HALF - 1)
    return (np.clip(np.rint(fine), -whole, whole).astype(int) + HALF).tolist()


def _with_any_steps(image: Image.Image, change: np.ndarray, whole: int) -> Image.Image:
    """The same for steps of any size and 16-bit pictures, in float32."""
    new = Image.new(image.mode, image.size)
    for top, wanted in stretched(change, image.height, image.width, ROWS):
        steps = np.clip(np.rint(wanted, out=wanted), -whole, whole, out=wanted)
        clean = image.crop((0, top, image.width, top + len(steps)))
        if image.mode == "I;16":
            moved = np.asarray(clean).astype(np.int32) + steps[..., 0].astype(np.int32) * DEEP
            new.paste(Image.fromarray(np.clip(moved, 0, 65535).astype(np.uint16)), (0, top))
            continue
        for part in (steps,) if whole < HALF else (np.floor(steps / 2), np.ceil(steps / 2)):
            clean = ImageChops.add(clean, _around_half(part, image.mode), 1, -HALF)
        new.paste(clean, (0, top))
    return new


def _around_half(steps: np.ndarray, mode: str) -> Image.Image:
    """Steps from -HALF on as a picture, whose values are HALF where nothing moves."""
    values = (steps + np.float32(HALF)).astype(np.uint8)
    planes = [Image.fromarray(np.ascontiguousarray(values[..., channel])) for channel in range(values.shape[-1])]
    return _merged(planes, mode)


def _merged(planes: list[Image.Image], mode: str) -> Image.Image:
    """Steps of colours as a picture of this mode: one plane moves all colours, alpha and black ink stay."""
    bands = Image.getmodebands(mode)
    if len(planes) == 1:
        planes = planes * (bands - (mode in STILL))
    if mode in STILL:
        planes = [*planes, Image.new("L", planes[0].size, HALF)]
    return Image.merge(mode, planes) if bands > 1 else planes[0]


def compare(clean: Image.Image, written: Image.Image, floor: float | None = None) -> Difference:
    """How far `written` is from `clean`, a picture of the same mode and size.

    SSIM is measured on a grid of windows; where that leaves open whether it reaches the floor, on all of them.
    """
    largest = alpha = squares = 0
    pieces = (
        ((clean, written),)
        if clean.height * clean.width <= TOGETHER
        else zip(_pieces(clean), _pieces(written), strict=True)
    )
    for a, b in pieces:
        if clean.mode == "I;16":
            moved = np.asarray(a).astype(np.int64) - np.asarray(b)
            largest, squares = max(largest, int(np.abs(moved).max())), squares + int((moved * moved).sum())
            continue
        counts = np.array(ImageChops.difference(a, b).histogram()).reshape(-1, 256)
        if clean.mode in TRANSPARENT:
            alpha, counts = max(alpha, int(counts[-1].nonzero()[0][-1])), counts[:-1]
        together = counts.sum(axis=0)
        largest, squares = max(largest, int(together.nonzero()[0][-1])), squares + int(together @ SQUARES)
    unit = DEEP if clean.mode == "I;16" else 1
    colors = Image.getmodebands(clean.mode) - (clean.mode in TRANSPARENT)
    error = squares / (math.prod(clean.size) * colors) / unit**2
    psnr = 10 * math.log10(255**2 / error) if error else math.inf
    likeness = _likeness(display(clean), display(written), floor) if error else 1.0
    return Difference(Distortion(math.ceil(largest / unit), psnr, likeness), largest / unit, alpha)


def _likeness(clean: np.ndarray, written: np.ndarray, floor: float | None) -> float:
    sampled = sampled_ssim(clean, written)
    return ssim(clean, written) if floor is not None and abs(sampled - floor) < DOUBT else sampled


def _pieces(image: Image.Image) -> Iterator[Image.Image]:
    """The picture in pieces of ROWS rows."""
    for top in range(0, image.height, ROWS):
        yield image.crop((0, top, image.width, min(top + ROWS, image.height)))
