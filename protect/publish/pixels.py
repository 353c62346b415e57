"""Noise added to a picture of any mode and size, strip by strip, and how far two pictures are apart."""

import math
from typing import NamedTuple

import numpy as np
from PIL import Image

from protect.data.images import LUMA
from protect.data.pictures import DEEP, GREY, ROWS, display, strips
from protect.publish.quality import Distortion, ssim
from protect.publish.upsample import stretched


class Difference(NamedTuple):
    """How far a picture is from another: `colors` over all but alpha, `largest` change of a colour, `alpha`'s.

    `largest` and `alpha` are in 255ths; `largest` of a 16-bit picture may be a fraction.
    """

    colors: Distortion
    largest: float
    alpha: int


def with_noise(image: Image.Image, change: np.ndarray, epsilon: int | float) -> Image.Image:
    """A new picture that differs by at most floor(epsilon) 255ths a value; transparency stays.

    `change` is float32 HxWxC in 255ths at any size: it is stretched to the picture's. Ink moves against it, grey
    pictures take its luma (or its only channel), 16-bit ones move in steps of 257.
    """
    whole = math.floor(epsilon)
    if image.mode in GREY and change.shape[-1] == 3:
        change = (change @ LUMA)[..., None]
    elif image.mode == "CMYK":
        change = -change
    new = Image.new(image.mode, image.size)
    wanted = stretched(change, image.height, image.width, ROWS)
    for (top, clean), (_, carried) in zip(strips(image), wanted, strict=True):
        steps = np.clip(np.rint(carried, out=carried), -whole, whole, out=carried)
        if image.mode == "I;16":
            moved = clean[..., 0].astype(np.int32) + steps[..., 0].astype(np.int32) * DEEP
            new.paste(Image.fromarray(np.clip(moved, 0, 65535).astype(np.uint16)), (0, top))
            continue
        changed = clean.copy()
        colors = steps.shape[-1]
        np.clip(clean[..., :colors] + steps.astype(np.int16), 0, 255, out=changed[..., :colors], casting="unsafe")
        new.paste(Image.fromarray(changed[..., 0] if image.mode == "L" else changed, image.mode), (0, top))
    return new


def compare(clean: Image.Image, written: Image.Image) -> Difference:
    """How far `written` is from `clean`, a picture of the same mode and size."""
    largest = alpha = squares = count = 0
    for (_, a), (_, b) in zip(strips(clean), strips(written), strict=True):
        moved = np.maximum(a, b) - np.minimum(a, b)
        if clean.mode in ("LA", "RGBA"):
            alpha = max(alpha, int(moved[..., -1].max()))
            moved = moved[..., :-1]
        largest = max(largest, int(moved.max()))
        wide = np.uint16 if moved.dtype == np.uint8 else np.uint32  # just wide enough for a square
        squares += int(np.square(moved, dtype=wide).sum(dtype=np.uint64))
        count += moved.size
    unit = DEEP if clean.mode == "I;16" else 1
    error = squares / count / unit**2
    psnr = 10 * math.log10(255**2 / error) if error else math.inf
    likeness = ssim(display(clean), display(written)) if error else 1.0
    return Difference(Distortion(math.ceil(largest / unit), psnr, likeness), largest / unit, alpha)
