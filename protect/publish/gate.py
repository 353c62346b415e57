"""The one gate: a photo and its noise become the bytes of a file, and the claim is checked on that file.

Whatever noise comes in, it is clipped to the budget, rounded, written, read again and measured.
"""

import math
from dataclasses import dataclass

import numpy as np

from protect.data.images import LUMA, ImageError, Photo, decode, encode
from protect.data.pictures import DEEP
from protect.publish.quality import Distortion, measure
from protect.publish.upsample import carry
from protect.settings.publish import PublishSettings


class BudgetError(ValueError):
    """A lossless file that would change some pixel by more than epsilon."""


@dataclass(frozen=True)
class Published:
    """A file ready to be published, and how far it is from the original.

    `change` compares the decoded file with the original; `reencode` does so for the clean photo written in
    the same way, so that a reader can tell what a lossy codec does alone (None when lossless or not asked).
    """

    data: bytes
    change: Distortion
    reencode: Distortion | None
    notes: tuple[str, ...]


def publish_image(
    photo: Photo,
    noise: np.ndarray,
    epsilon: int | float,
    settings: PublishSettings,
    measure_reencode: bool = True,
    size: int | None = None,
) -> Published:
    """Write `photo` with the noise (int8 3xSxS, 255ths) at its own size, within +-epsilon.

    `size` is the side of the centre crop in the noise's middle, where the noise covers more than that (`carry`).
    Grey photos get the noise's luma. Epsilon is guaranteed on the decoded file of a lossless format
    (BudgetError otherwise); a lossy one is only measured. Raises ImageError when the file written is not of
    the original's format, size and mode.
    """
    if noise.shape[0] != 3 or not 0 <= epsilon <= 255:
        raise ValueError(f"expected 3xSxS noise and epsilon 0 to 255, got {noise.shape} and {epsilon}; rescale it")
    if photo.written in ("L", "LA", "I;16"):
        noise = np.rint(np.tensordot(LUMA, noise.astype(np.float32), 1))[None].astype(np.int8)
    width, height = photo.size
    whole = math.floor(epsilon)
    carried = carry(noise, height, width, epsilon, size=size)
    steps = np.clip(np.rint(carried, out=carried), -whole, whole, out=carried).astype(np.int16)
    if photo.deep is not None:
        pixels = np.clip(photo.deep + steps[..., 0].astype(np.int32) * DEEP, 0, 65535).astype(np.uint16)
    else:
        pixels = np.clip(photo.color + steps, 0, 255).astype(np.uint8)
    data, written = _written(photo, pixels, settings)
    change, reencode = measure(photo.color, written.color), None
    if photo.lossless:
        _check_budget(photo, written, change.linf, epsilon)
    elif measure_reencode:
        reencode = measure(photo.color, _written(photo, photo.color, settings)[1].color)
    return Published(data, change, reencode, photo.notes)


def _written(photo: Photo, pixels: np.ndarray, settings: PublishSettings) -> tuple[bytes, Photo]:
    """The file, and what a scraper reads from it."""
    data = encode(photo, pixels, settings)
    again = decode(data, math.prod(photo.size))
    expected = (photo.format, photo.written, photo.size, photo.lossless)
    found = (again.format, again.mode, again.size, again.lossless)
    if expected != found:
        raise ImageError(f"written file: expected {expected}, found {found}; leave this picture out")
    return data, again


def _check_budget(photo: Photo, written: Photo, moved: int | float, epsilon: int | float) -> None:
    """Raise BudgetError unless every value moved by at most epsilon, and no alpha at all."""
    if photo.deep is not None and written.deep is not None:
        moved = float(np.abs(written.deep.astype(np.int32) - photo.deep).max()) / DEEP
    if moved > epsilon:
        raise BudgetError(f"published file: expected changes within {epsilon}/255, found {moved:g}; drop it")
    if photo.alpha is not None and (written.alpha is None or (photo.alpha != written.alpha).any()):
        raise BudgetError("published file: expected the alpha channel unchanged, found a change; drop it")
