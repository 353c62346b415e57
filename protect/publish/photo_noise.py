"""Noise as its owner wants it seen: as strong as asked for where texture hides it, no further."""

import numpy as np
from PIL import Image

from protect.data.pictures import display_image
from protect.publish.masking import Fit, fit_epsilon, grey_mask, mask_rows
from protect.publish.upsample import grid, upsample
from protect.settings.publish import Strength


def masked(image: Image.Image, change: np.ndarray) -> np.ndarray:
    """The change of a picture (HxWxC, at its size or a smaller one), less of it where the eye would see it."""
    return _masked(display_image(image), change)


def _masked(small: Image.Image, change: np.ndarray) -> np.ndarray:
    """The same, by the picture at display size."""
    height, width = change.shape[:2]
    mask = grey_mask(np.asarray(small.convert("L")))
    return change * mask_rows(mask, height, width, 0, height)[..., None]


def visible_change(
    image: Image.Image, noise: np.ndarray, made_with: float, strength: Strength, size: int | None = None
) -> tuple[np.ndarray, Fit]:
    """The change of a photo, float32 HxWxC in 255ths on the grid of `upsample`, and how far the floor lowered it.

    C is 1 where all channels of the noise are one by their stride. `noise` is int8 3xNxN and was made with an epsilon
    of `made_with`; it gets the strength's epsilon. `size` is the side of its middle that a model sees of the photo (N
    without it).
    """
    if made_with <= 0:
        raise ValueError(f"made_with: expected the epsilon of the noise, above 0, got {made_with}")
    if noise.strides[0] == 0:
        noise = noise[:1]
    small = display_image(image)
    scaled = noise.astype(np.float32) * np.float32(strength.epsilon / made_with)
    size = size or noise.shape[-1]
    change = upsample(scaled, *grid(image.height, image.width, size), strength.epsilon, size=size)
    change = _masked(small, change)
    fit = fit_epsilon(np.asarray(small), change, strength.epsilon, strength.floor)
    return change * np.float32(fit.scale), fit
