"""Where one picture lies in another: after a resize, a crop or a screenshot, to a fraction of a pixel."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import fft
from scipy.ndimage import uniform_filter

Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels of a picture

LARGE = 768  # longer side at which pictures are compared
SMALL = 96  # longer side, in pixels, at which the place is searched for
FINE = (64, 128, 256)  # longer sides of the common part at which the place is then refined
ROUNDS = 6  # of refinement at each of them
STEP = 0.96  # from one searched scale to the next
LEAST = 0.2  # share of the larger picture's side that the smaller one may have
SAME = 0.9  # correlation of brightness from which on two pictures show the same
ENOUGH = 8  # pixels that a searched picture has on a side, at least


@dataclass(frozen=True)
class Alignment:
    """The part of each picture that shows the same, and how alike the two parts are (correlation, 1: the same)."""

    mine: Box
    found: Box
    likeness: float

    @property
    def same(self) -> bool:
        return self.likeness >= SAME


def align(mine: Image.Image, found: Image.Image) -> Alignment:
    """Looks for one picture in the other: as a whole, as a part that was cropped, or framed by a screenshot."""
    small, other = (_at_most(image.convert("L"), LARGE) for image in (mine, found))
    there = _aligned(small, other)
    return Alignment(_scaled(there.mine, small, mine), _scaled(there.found, other, found), there.likeness)


def rough_likeness(one: Image.Image, two: Image.Image) -> float:
    """How alike two small grey pictures are where they agree most, one of them being a part of the other."""
    return max(_place(one, two)[1], _place(two, one)[1])


def _aligned(mine: Image.Image, found: Image.Image) -> Alignment:
    box, likeness = _refined(found, mine, _all_of(mine))
    best = Alignment(box, _all_of(found), likeness)
    if likeness >= 1 - (1 - SAME) / 4:
        return best
    box, likeness = _refined(found, mine, _place(found, mine)[0])
    if likeness > best.likeness:
        best = Alignment(box, _all_of(found), likeness)
    box, likeness = _refined(mine, found, _place(mine, found)[0])
    return Alignment(_all_of(mine), box, likeness) if likeness > best.likeness else best


def part(image: Image.Image, box: Box, size: tuple[int, int]) -> Image.Image:
    """A part of a picture at some size, its borders between pixels where they lie there."""
    return image.resize(size, Image.Resampling.BICUBIC, box, reducing_gap=3.0)


def _place(inner: Image.Image, outer: Image.Image) -> tuple[Box, float]:
    """Roughly where `inner` lies in `outer`: the scale and place of the highest correlation, and how high it is."""
    shrink = min(1.0, SMALL / max(outer.size))
    small = _grey(outer, (max(1, round(outer.width * shrink)), max(1, round(outer.height * shrink))))
    best, box = -1.0, _all_of(outer)
    for width, height in _sizes(inner.size, (small.shape[1], small.shape[0])):
        scores = _correlations(small, _grey(inner, (width, height)))
        top, left = np.unravel_index(int(scores.argmax()), scores.shape)
        if scores[top, left] > best:
            best = float(scores[top, left])
            x, y = outer.width / small.shape[1], outer.height / small.shape[0]
            box = (float(left * x), float(top * y), float((left + width) * x), float((top + height) * y))
    return box, best


def _sizes(inner: tuple[int, int], outer: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """The sizes at which a picture is searched for in another, from the largest that fits."""
    most = min(outer[0] / inner[0], outer[1] / inner[1])
    scale = most
    while scale >= LEAST * most:
        width, height = (min(full, round(side * scale)) for side, full in zip(inner, outer, strict=True))
        if min(width, height) < ENOUGH:
            return
        yield width, height
        scale *= STEP


def _correlations(picture: np.ndarray, pattern: np.ndarray) -> np.ndarray:
    """The correlation of a pattern with each part of a picture that has its size."""
    height, width = pattern.shape
    centred = pattern - pattern.mean()
    shape = tuple(fft.next_fast_len(side, real=True) for side in picture.shape)
    spectrum = fft.rfft2(picture - picture.mean(), shape) * fft.rfft2(centred, shape).conj()
    places = picture.shape[0] - height + 1, picture.shape[1] - width + 1
    products = fft.irfft2(spectrum, shape)[: places[0], : places[1]]
    mean, square = (_sums(values, height, width) / pattern.size for values in (picture, picture * picture))
    spread = np.sqrt(np.maximum(square - mean * mean, 0) * pattern.size) * np.linalg.norm(centred)
    return products / np.maximum(spread, 1e-3 * max(1.0, float(spread.max())))


def _sums(values: np.ndarray, height: int, width: int) -> np.ndarray:
    total = np.pad(values, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    return total[height:, width:] - total[:-height, width:] - total[height:, :-width] + total[:-height, :-width]


def _refined(inner: Image.Image, outer: Image.Image, box: Box) -> tuple[Box, float]:
    """The box of `outer` that shows what `inner` shows, by Gauss-Newton steps, and the correlation there.

    Solved for together: the four edges, and the gain and offset of brightness.
    """
    likeness = -1.0
    for side in FINE:
        scale = min(1.0, side / max(inner.size))
        size = max(2, round(inner.width * scale)), max(2, round(inner.height * scale))
        wanted = _grey(inner, size)
        u, v = ((np.arange(length) + 0.5) / length for length in size)
        for _ in range(ROUNDS):
            seen = np.asarray(part(outer, box, size), np.float32)
            down, across = np.gradient(seen)
            across, down = across * (size[0] / (box[2] - box[0])), down * (size[1] / (box[3] - box[1]))
            columns = (across * (1 - u), down * (1 - v)[:, None], across * u, down * v[:, None], seen, seen * 0 + 1)
            slopes = np.stack([column.ravel() for column in columns], axis=1).astype(np.float64)
            *edges, gain, _ = np.linalg.lstsq(slopes.T @ slopes, slopes.T @ wanted.ravel(), rcond=None)[0]
            box = _within(outer, [edge + move / (gain or 1.0) for edge, move in zip(box, edges, strict=True)])
        likeness = _likeness(wanted, np.asarray(part(outer, box, size), np.float32))
        if likeness < SAME / 2:  # finer steps would lead nowhere
            break
    return box, likeness


def _within(image: Image.Image, edges: list[float]) -> Box:
    """A box inside the picture and of some size, whatever a step has led to."""
    left, right = np.clip(edges[0::2], 0, image.width)
    top, bottom = np.clip(edges[1::2], 0, image.height)
    if right - left < 2 or bottom - top < 2:
        return _all_of(image)
    return (float(left), float(top), float(right), float(bottom))


def _at_most(image: Image.Image, side: int) -> Image.Image:
    shrink = min(1.0, side / max(image.size))
    size = max(1, round(image.width * shrink)), max(1, round(image.height * shrink))
    return image.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0) if shrink < 1 else image


def _all_of(image: Image.Image) -> Box:
    return (0.0, 0.0, float(image.width), float(image.height))


def _scaled(box: Box, image: Image.Image, other: Image.Image) -> Box:
    """A box of one picture in another that shows the same at another size."""
    across, down = other.width / image.width, other.height / image.height
    return (box[0] * across, box[1] * down, box[2] * across, box[3] * down)


def _likeness(one: np.ndarray, two: np.ndarray) -> float:
    """Correlation of two pictures, each without its coarse shading: a white wall is like every other."""
    one, two = (values - uniform_filter(values, max(3, min(one.shape) // 3), mode="nearest") for values in (one, two))
    spread = float(np.linalg.norm(one) * np.linalg.norm(two))
    return float((one * two).sum()) / spread if spread > 1e-6 else 0.0


def _grey(image: Image.Image, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0), np.float32)
