"""What a model sees of a picture: CLIP's resize and centre crop, the view noise is made for, display size."""

from typing import NamedTuple

import numpy as np
from PIL import Image

PANORAMA = 4  # of a frame longer than this many squares only the middle is made


class Side(NamedTuple):
    """One side of a picture in the attacker's eyes: its length, the frame's, and the middle that is made.

    `start` and `span` are where that middle lies in the frame, `crop` where the centre crop begins in it.
    """

    length: int
    frame: int
    start: int
    span: int
    crop: int


def sides(height: int, width: int, size: int) -> tuple[Side, Side]:
    """How a height x width picture is resized and cropped to a square, with torchvision's rounding."""
    short, long = min(height, width), max(height, width)
    stretched = int(size * long / short)
    frames = (size, stretched) if height <= width else (stretched, size)
    return _side(height, frames[0], size), _side(width, frames[1], size)


def see(image: Image.Image, size: int) -> Image.Image:
    """What CLIP's preprocessing makes of a picture: bicubic resize of the shorter side, then centre crop."""
    down, across = sides(image.height, image.width, size)
    if max(down.frame, across.frame) <= PANORAMA * size:
        frame = image.resize((across.frame, down.frame), Image.Resampling.BICUBIC)
        return frame.crop((across.crop, down.crop, across.crop + size, down.crop + size))
    (left, right), (top, bottom) = (_source(side, side.start + side.crop, size) for side in (across, down))
    return image.resize((size, size), Image.Resampling.BICUBIC, (left, top, right, bottom))


def room(height: int, width: int, size: int) -> int:
    """Side of the square noise that covers the whole frame of a photo, its middle the centre crop."""
    return max(size + 2 * max(side.crop, side.span - side.crop - size) for side in sides(height, width, size))


def view_around(image: Image.Image, size: int) -> np.ndarray:
    """What a square noise of `room` pixels covers, room x room, uint8: the whole frame, mirrored beyond it."""
    side, (down, across) = room(image.height, image.width, size), sides(image.height, image.width, size)
    (left, right), (top, bottom) = (_source(part, part.start, part.span) for part in (across, down))
    whole = np.asarray(image.resize((across.span, down.span), Image.Resampling.BICUBIC, (left, top, right, bottom)))
    for axis, part in enumerate((down, across)):
        if part.span != side or part.crop != (side - size) // 2:
            whole = whole.take(_mirrored(part, size, side), axis=axis)
    return whole


def _side(length: int, frame: int, size: int) -> Side:
    crop = round((frame - size) / 2)
    if frame <= PANORAMA * size:
        return Side(length, frame, 0, frame, crop)
    start = round((frame - PANORAMA * size) / 2)
    return Side(length, frame, start, PANORAMA * size, crop - start)


def _source(side: Side, start: int, span: int) -> tuple[float, float]:
    """The stretch of the picture that `span` pixels of its frame are made from."""
    return start * side.length / side.frame, (start + span) * side.length / side.frame


def _mirrored(across: Side, size: int, side: int) -> np.ndarray:
    """The other way about: for each place of the noise, the pixel of the frame that lies or is mirrored there."""
    place = np.arange(side) - (side - size) // 2 + across.crop
    turn = 2 * across.span - 1
    place %= turn + 1
    return np.minimum(place, turn - place)


DISPLAY = 1080  # SSIM of larger pictures is taken at display size: longer side scaled down to this


def _display(color: np.ndarray) -> np.ndarray:
    height, width = color.shape[:2]
    if max(height, width) <= DISPLAY:
        return color
    scale = DISPLAY / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(np.ascontiguousarray(color)).resize(size, Image.Resampling.BICUBIC))
