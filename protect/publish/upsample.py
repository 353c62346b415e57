"""Noise made at training size, carried to the photo's own size so that the attacker's resize brings it back.

Resizing is linear and separable: frame = A X B^T with A and B the resampling matrices of the two sides. The
noise of least norm whose resize is n is pinv(A) n pinv(B)^T; what clipping to the budget takes from it is
added back a few times.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from PIL import Image

from protect.data.images import LUMA
from protect.data.pictures import GREY
from protect.data.views import Side, _source, sides

STRIP = 512  # rows of the identity resized at a time
COARSE = 4  # a photo whose shorter side is more than this many squares takes its noise from a grid of that size
CACHED = 16  # sides whose matrices are kept: up to 8 MB each for a 24-megapixel photo at 224


def carry(
    noise: np.ndarray, height: int, width: int, epsilon: int | float, rounds: int = 3, size: int | None = None
) -> np.ndarray:
    """Noise for a height x width photo, float32 HxWxC in 255ths and within +-epsilon.

    `noise` is int8 or float32 CxNxN, its middle the `size` x `size` (N without it) of the attacker's centre crop.
    Beyond the noise the pattern goes on periodically. A photo whose shorter side is `size` gets exactly the noise;
    a smaller one the least-squares noise of its size.
    """
    size, side = size or noise.shape[-1], noise.shape[-1]
    if noise.ndim != 3 or noise.shape[1] != side or noise.dtype not in (np.int8, np.float32):
        raise ValueError(f"noise: expected int8 or float32 CxNxN, got {noise.dtype} {noise.shape}; make it square")
    if size > side:
        raise ValueError(f"noise: expected at least the crop of {size} pixels, got {side}; make it larger")
    down, across = sides(height, width, size)
    place = np.ix_(_wrap(down, size, side), _wrap(across, size, side))
    carried = np.empty((height, width, len(noise)), np.float32)
    for channel, plane in enumerate(noise):
        wanted = np.clip(plane[place].astype(np.float32), -epsilon, epsilon)
        if (height, width) == wanted.shape == (down.frame, across.frame):  # no resize to undo
            carried[..., channel] = wanted
            continue
        change = least_norm(wanted, down, across)
        for _ in range(rounds):
            np.clip(change, -epsilon, epsilon, out=change)
            lack = wanted - resampler(down) @ change @ resampler(across).T
            change += least_norm(lack, down, across)
        carried[..., channel] = np.clip(change, -epsilon, epsilon)
    return carried


def at_full_size(image: Image.Image, noise: np.ndarray, epsilon: int | float, size: int | None = None) -> np.ndarray:
    """The noise (int8 3xNxN, 255ths) at the size of a picture, float32 HxWxC; one channel for a grey picture.

    `size` is the side of the noise's middle that a model sees of the picture (N without it).
    """
    if image.mode in GREY:
        noise = np.rint(np.tensordot(LUMA, noise.astype(np.float32), 1))[None].astype(np.int8)
    return carry(noise, image.height, image.width, epsilon, size=size)


def grid(height: int, width: int, size: int) -> tuple[int, int]:
    """Height and width at which the noise of a photo is made before it is stretched to the photo's own size."""
    scale = min(1.0, COARSE * size / min(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def stretched(plane: np.ndarray, height: int, width: int, rows: int = STRIP) -> Iterator[tuple[int, np.ndarray]]:
    """A float32 HxWxC plane at another size, in strips from the top: first row and strip; no seams between them."""
    if plane.shape[:2] == (height, width):
        yield from ((top, plane[top : top + rows].copy()) for top in range(0, height, rows))
        return
    channels = [Image.fromarray(np.ascontiguousarray(plane[..., c])) for c in range(plane.shape[-1])]
    scale = plane.shape[0] / height
    for top in range(0, height, rows):
        count = min(rows, height - top)
        box = (0, top * scale, plane.shape[1], min(plane.shape[0], (top + count) * scale))
        parts = [np.asarray(c.resize((width, count), Image.Resampling.BICUBIC, box)) for c in channels]
        yield top, np.stack(parts, axis=-1)


def least_norm(frame: np.ndarray, down: Side, across: Side) -> np.ndarray:
    """The smallest change of the picture that the resize turns into `frame` (or nearest to it)."""
    return inverse(down) @ frame @ inverse(across).T


@lru_cache(maxsize=CACHED)
def resampler(side: Side) -> np.ndarray:
    """The matrix (span x length) that Pillow's bicubic resize applies along one side."""
    matrix = np.empty((side.span, side.length), np.float32)
    low, high = _source(side, side.start, side.span)
    for first in range(0, side.length, STRIP):
        unit = np.eye(min(STRIP, side.length - first), side.length, first, dtype=np.float32)
        box = (low, 0, high, len(unit))
        strip = Image.fromarray(unit).resize((side.span, len(unit)), Image.Resampling.BICUBIC, box)
        matrix[:, first : first + len(unit)] = np.asarray(strip).T
    return matrix


@lru_cache(maxsize=CACHED)
def inverse(side: Side) -> np.ndarray:
    """The pseudo-inverse (length x span) of the resampler."""
    return np.linalg.pinv(resampler(side))


def _wrap(across: Side, size: int, side: int) -> np.ndarray:
    """For each pixel of the frame its place in a noise of `side` pixels, in whose middle the crop of `size` lies."""
    return (np.arange(across.span) - across.crop + (side - size) // 2) % side
