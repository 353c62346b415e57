"""Noise added to a picture of any size, strip by strip, and what the written file then differs by."""

import math

import numpy as np
from PIL import Image

from protect.data.images import LUMA, ImageError
from protect.data.pictures import DEEP, ROWS, display, strips
from protect.publish.gate import BudgetError
from protect.publish.quality import Distortion, ssim
from protect.publish.upsample import stretched


def with_noise(image: Image.Image, change: np.ndarray, epsilon: float) -> Image.Image:
    """A new picture that differs by at most floor(epsilon) 255ths a value; transparency stays.

    `change` is float32 HxWx3 in 255ths at any size: it is stretched to the picture's. Ink moves against it,
    grey pictures take its luma.
    """
    whole = math.floor(epsilon)
    if image.mode in ("L", "LA", "I;16"):
        change = (change @ LUMA)[..., None]
    elif image.mode == "CMYK":
        change = -change
    new = Image.new(image.mode, image.size)
    wanted = stretched(change, image.height, image.width, ROWS)
    for (top, clean), (_, carried) in zip(strips(image), wanted, strict=True):
        steps = np.clip(np.rint(carried, out=carried), -whole, whole, out=carried)
        changed = clean.copy()
        colors = steps.shape[-1]
        if image.mode == "I;16":
            changed[..., 0] = np.clip(
                clean[..., 0].astype(np.int32) + steps[..., 0].astype(np.int32) * DEEP, 0, 65535
            )
            new.paste(Image.fromarray(changed[..., 0]), (0, top))
            continue
        np.clip(clean[..., :colors] + steps.astype(np.int16), 0, 255, out=changed[..., :colors], casting="unsafe")
        new.paste(Image.fromarray(changed[..., 0] if image.mode == "L" else changed, image.mode), (0, top))
    return new


def compare(clean: Image.Image, written: Image.Image, lossless: bool, epsilon: float) -> Distortion:
    """How far the picture read again from the written file is from the clean one.

    Raises ImageError when it is another kind of picture, BudgetError when a lossless file left epsilon.
    """
    if (clean.size, clean.mode) != (written.size, written.mode):
        expected, found = f"{clean.mode} {clean.size}", f"{written.mode} {written.size}"
        raise ImageError(f"written file: expected {expected}, found {found}; leave this picture out")
    largest, squares, count = 0, 0.0, 0
    for (_, a), (_, b) in zip(strips(clean), strips(written), strict=True):
        moved = np.maximum(a, b) - np.minimum(a, b)
        largest = max(largest, int(moved.max()))
        moved = moved.ravel().astype(np.float32)
        squares += float(moved @ moved)
        count += a.size
    unit = DEEP if clean.mode == "I;16" else 1
    error = squares / count / unit**2
    if lossless and largest / unit > epsilon:
        raise BudgetError(f"written file: expected changes within {epsilon}/255, found {largest / unit:g}; drop it")
    psnr = 10 * math.log10(255**2 / error) if error else math.inf
    return Distortion(math.ceil(largest / unit), psnr, ssim(display(clean), display(written)) if error else 1.0)
