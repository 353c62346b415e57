"""A Pillow picture of any mode as RGB: at its own size, at view size and at display size; its rows strip by strip."""

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import numpy as np
from PIL import Image

from protect.data.views import DISPLAY, see

ROWS = 128  # worked on at a time: what a processor keeps near
DEEP = 257  # 16-bit steps in one 8-bit step
GREY = ("L", "LA", "I;16")  # modes without colour


@runtime_checkable
class Picture(Protocol):
    """A decoded file: its kind, its picture in the mode that is written, whether its codec keeps every pixel."""

    @property
    def kind(self) -> str: ...
    @property
    def image(self) -> Image.Image: ...
    @property
    def lossless(self) -> bool: ...


def view_of(image: Image.Image, size: int) -> np.ndarray:
    """The 3 x size x size uint8 square that CLIP's preprocessing makes of a picture."""
    return np.asarray(see(shown(image), size)).transpose(2, 0, 1).copy()


def shown(image: Image.Image) -> Image.Image:
    """The picture as RGB; a 16-bit one as grey (Pillow's own conversion saturates)."""
    if image.mode == "I;16":
        grey = Image.new("L", image.size)
        for top, strip in strips(image):
            grey.paste(Image.fromarray(eight_bit(strip[..., 0])), (0, top))
        image = grey
    return image if image.mode == "RGB" else image.convert("RGB")


def display(image: Image.Image) -> np.ndarray:
    """The picture at display size, HxWx3 uint8: what SSIM compares, and what a visitor of a page sees."""
    return np.asarray(display_image(image))


def display_image(image: Image.Image) -> Image.Image:
    """The same as a Pillow picture."""
    scale = min(1.0, DISPLAY / max(image.size))
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    if image.mode == "I;16":
        return shown(image).resize(size, Image.Resampling.BICUBIC)
    return shown(image.resize(size, Image.Resampling.BICUBIC) if size != image.size else image)


def eight_bit(deep: np.ndarray) -> np.ndarray:
    return ((deep.astype(np.uint32) + 128) // DEEP).astype(np.uint8)


def strips(image: Image.Image) -> Iterator[tuple[int, np.ndarray]]:
    """The picture as arrays of ROWS rows: first row, rows x width x bands."""
    for top in range(0, image.height, ROWS):
        strip = np.asarray(image.crop((0, top, image.width, min(top + ROWS, image.height))))
        yield top, strip if strip.ndim == 3 else strip[..., None]
