"""Noise made at training size, enlarged to the photo's own size so that the attacker's resize brings it back.

A bicubic enlargement followed by the attacker's bicubic reduction is a slight blur of the noise. A short filter that
undoes this blur, before the enlargement, makes the two of them nearly exact. Everything is done side by side with
Pillow and sums of shifted planes, which round alike on every machine.
"""

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from PIL import Image

from protect.data.images import LUMA
from protect.data.pictures import GREY
from protect.data.views import Side, _source, sides

STRIP = 512  # rows resized at a time
COARSE = 4  # a photo whose shorter side is more than this many squares takes its noise from a grid of that size
TAPS = 3  # on each side of the filter against blur
LEAST = 0.25  # share of a wave that has to be left for the filter to bring all of it back
BEYOND = 1.1  # enlarged noise is made so much stronger, since clipping it to epsilon takes that from it
SLIGHTLY = 1.04  # the same of smooth noise of a photo that is hardly larger than its frame
CLOSE = 1.5  # a photo less than so many times its frame holds not all of the noise: what lacks is added in rounds
ROUNDS = 3
WAVES = 64  # lengths of waves at which the blur is measured
TINY = 1e-6


def upsample(noise: np.ndarray, height: int, width: int, epsilon: int | float, size: int | None = None) -> np.ndarray:
    """Noise for a height x width photo, float32 HxWxC in 255ths and within +-epsilon.

    `noise` is int8 or float32 CxNxN, its middle the `size` x `size` (N without it) of the attacker's centre crop.
    Beyond the noise the pattern goes on periodically. A photo whose shorter side is `size` gets exactly the noise;
    of a smaller one's, what its pixels can hold.
    """
    size, side = size or noise.shape[-1], noise.shape[-1]
    if noise.ndim != 3 or noise.shape[1] != side or noise.dtype not in (np.int8, np.float32):
        raise ValueError(f"noise: expected int8 or float32 CxNxN, got {noise.dtype} {noise.shape}; make it square")
    if size > side:
        raise ValueError(f"noise: expected at least the crop of {size} pixels, got {side}; make it larger")
    down, across = sides(height, width, size)
    place = np.ix_(_wrap(down, size, side), _wrap(across, size, side))
    upsampled = np.empty((height, width, len(noise)), np.float32)
    for channel, plane in enumerate(noise):
        wanted = np.clip(plane[place], -epsilon, epsilon, dtype=np.float32)
        if (height, width) == wanted.shape == (down.frame, across.frame):  # no resize to undo
            upsampled[..., channel] = wanted
        else:
            np.clip(_enlarged(wanted, down, across, epsilon), -epsilon, epsilon, out=upsampled[..., channel])
    return upsampled


def at_full_size(
    image: Image.Image, noise: np.ndarray, epsilon: int | float, size: int | None = None, coarse: bool = False
) -> np.ndarray:
    """The noise (int8 3xNxN, 255ths) for a picture, float32 HxWxC; one channel where all are equal by their stride,
    or the picture is grey.

    `size` is the side of the noise's middle that a model sees of the picture (N without it). `coarse`: the noise is
    smooth enough to stay on its own grid where the picture is larger; `stretched` brings it to the picture's size.
    """
    if noise.strides[0] == 0:  # all channels are one
        noise = noise[:1]
    elif image.mode in GREY:
        noise = np.rint(np.tensordot(LUMA, noise.astype(np.float32), 1))[None].astype(np.int8)
    frame = _on_its_grid(image, noise, epsilon, size or noise.shape[-1]) if coarse else None
    return upsample(noise, image.height, image.width, epsilon, size=size) if frame is None else frame


def _on_its_grid(image: Image.Image, noise: np.ndarray, epsilon: int | float, size: int) -> np.ndarray | None:
    """The noise of the attacker's frame, sharpened so that enlarging and reducing it leaves it as it was made.

    None where the frame is not all of the picture, or larger than it.
    """
    down, across = sides(image.height, image.width, size)
    if any(side.span != side.frame or side.length < side.frame for side in (down, across)):
        return None
    place = np.ix_(_wrap(down, size, noise.shape[-1]), _wrap(across, size, noise.shape[-1]))
    planes = [np.clip(plane[place], -epsilon, epsilon, dtype=np.float32) for plane in noise]
    if image.height > down.frame:
        far = down.length >= CLOSE * down.frame
        planes = [sharpen(plane, down, across) * np.float32(BEYOND if far else SLIGHTLY) for plane in planes]
        if not far:  # the filter's own peaks would be seen, and the attacker's resize takes them away
            planes = [np.clip(plane, -epsilon, epsilon) for plane in planes]
    return np.stack(planes, axis=-1)


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


def _enlarged(frame: np.ndarray, down: Side, across: Side, epsilon: int | float) -> np.ndarray:
    """A change of the whole picture, not clipped yet, that the attacker's resize turns into nearly this frame."""
    if down.length >= CLOSE * down.frame:
        return enlarge(sharpen(frame, down, across) * np.float32(BEYOND), down, across)
    change = enlarge(frame, down, across)
    for _ in range(ROUNDS):
        np.clip(change, -epsilon, epsilon, out=change)
        change += enlarge(frame - reduce(change, down, across), down, across)
    return change


def enlarge(frame: np.ndarray, down: Side, across: Side) -> np.ndarray:
    """A frame (or its middle that is made) at the picture's size; 0 where a panorama has no frame."""
    (top, bottom, low, high), (left, right, near, far) = _within(down), _within(across)
    whole = Image.fromarray(frame).resize(
        (right - left, bottom - top), Image.Resampling.BICUBIC, (near, low, far, high)
    )
    if whole.size == (across.length, down.length):
        return np.array(whole)
    change = np.zeros((down.length, across.length), np.float32)
    change[top:bottom, left:right] = np.asarray(whole)
    return change


def reduce(change: np.ndarray, down: Side, across: Side) -> np.ndarray:
    """What the attacker's resize makes of a change: the frame, or the middle of it that is made."""
    (left, right), (top, bottom) = (_source(side, side.start, side.span) for side in (across, down))
    size, box = (across.span, down.span), (left, top, right, bottom)
    return np.asarray(Image.fromarray(change).resize(size, Image.Resampling.BICUBIC, box))


def _within(side: Side) -> tuple[int, int, float, float]:
    """The whole pixels of a picture's side that the frame covers, first and end, and where they lie in the frame."""
    low, high = _source(side, side.start, side.span)
    first, end = math.ceil(low - TINY), math.floor(high + TINY)
    scale = side.frame / side.length
    return first, end, max(0.0, (first - low) * scale), min(float(side.span), (end - low) * scale)


def sharpen(frame: np.ndarray, down: Side, across: Side) -> np.ndarray:
    """The frame with more of the fine detail that enlarging and reducing it would blur."""
    for axis, side in enumerate((down, across)):
        middle, *others = _against_blur(round(side.length / side.frame, 2))
        borders = [(0, 0), (0, 0)]
        borders[axis] = (TAPS, TAPS)
        wide = np.moveaxis(np.pad(frame, borders, mode="symmetric"), axis, 0)
        length, total = frame.shape[axis], middle * np.moveaxis(frame, axis, 0)
        for step, weight in enumerate(others, 1):
            pair = wide[TAPS - step : TAPS - step + length] + wide[TAPS + step : TAPS + step + length]
            total += weight * pair
        frame = np.moveaxis(total, 0, axis)
    return np.ascontiguousarray(frame)


@lru_cache(maxsize=256)
def _against_blur(scale: float) -> np.ndarray:
    """Half of the symmetric filter, the middle first, that undoes the blur of enlarging by `scale` and reducing."""
    middle, reach = 32, 8
    dot = np.zeros((1, 2 * middle + 1), np.float32)
    dot[0, middle] = 1
    large = Image.fromarray(dot).resize((round(dot.size * scale), 1), Image.Resampling.BICUBIC)
    back = np.asarray(large.resize((dot.size, 1), Image.Resampling.BICUBIC), np.float64)[0]
    half = (back[middle : middle + reach] + back[middle : middle - reach : -1]) / 2
    waves = np.cos(np.pi * np.outer(np.arange(WAVES + 1), np.arange(reach)) / WAVES)
    left = 2 * waves @ half - half[0]
    weights = np.ones(WAVES + 1)
    weights[[0, -1]] = 0.5  # of the trapezoidal rule
    inverse = waves[:, : TAPS + 1].T @ (weights / np.maximum(left / left[0], LEAST))
    inverse /= 2 * inverse.sum() - inverse[0]  # even areas stay as they are
    return inverse.astype(np.float32)


def _wrap(across: Side, size: int, side: int) -> np.ndarray:
    """For each pixel of the frame its place in a noise of `side` pixels, in whose middle the crop of `size` lies."""
    return (np.arange(across.span) - across.crop + (side - size) // 2) % side
