"""Which further members of a sample show its picture again, at whatever size and in whatever format."""

from collections.abc import Iterator

import numpy as np
from PIL import Image

from protect.data.captions import other_members
from protect.data.images import OPENERS, ImageError, Photo, decode
from protect.samples import Member, Sample

SIDE = 32  # pictures are compared at this size
ALIKE = 8.0  # root mean square difference in 255ths below which two are copies of one
SHAPES = 0.03  # two copies differ in their width-to-height ratio by less, or by what a pixel makes out


def same_pictures(sample: Sample, photo: Photo, max_pixels: int) -> Iterator[tuple[Member, Photo]]:
    """Members that show the same picture as `photo` and can be written again, decoded."""
    small = None
    for member in other_members(sample):
        if not member.data.startswith(tuple(magic for magic, _ in OPENERS.values())):
            continue
        try:
            other = decode(member.data, max_pixels)
        except ImageError:
            continue
        small = _small(photo) if small is None else small
        if _same_shape(photo.size, other.size) and _distance(small, _small(other)) < ALIKE:
            yield member, other


def _same_shape(one: tuple[int, int], two: tuple[int, int]) -> bool:
    ratio = one[0] * two[1] / (one[1] * two[0])
    return abs(ratio - 1) <= SHAPES + 1 / min(*one, *two)


def _small(photo: Photo) -> np.ndarray:
    picture = Image.fromarray(np.ascontiguousarray(photo.color))
    return np.asarray(picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)).astype(np.float32)


def _distance(one: np.ndarray, two: np.ndarray) -> float:
    return float(np.sqrt(np.square(one - two).mean()))
