"""Before a run: the part of a photo that is on the screen, as it is and as it will be published.

The noise is the one that the run will use: made for the whole photo, then cut out. The part is written and read again
by the photo's own codec. What a preview cannot know is whether the finished file needs less noise to keep its floor.
"""

import io
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from protect.data.metadata.metadata import new_metadata
from protect.data.photo_files import Still, decode_still, read_still
from protect.data.photo_writer import encode_still
from protect.data.pictures import shown
from protect.data.prepared import Prepared, View
from protect.jobs.photos.photo import texts_to_post
from protect.methods.protector import Perturbation, Protector
from protect.publish.photo_noise import visible_change
from protect.publish.pixels import with_noise
from protect.settings.publish import STRENGTHS, PhotoSettings

BLOCK = 16  # pixels: a part begins where a JPEG's blocks begin, so that its codec does the same to it
LARGEST = 4096  # longest side of a part
SHOWN = 8  # finished previews that are kept for the page to fetch
T = TypeVar("T")


@dataclass(frozen=True)
class Part:
    """A rectangle of a photo, in its pixels."""

    left: int
    top: int
    width: int
    height: int

    def within(self, width: int, height: int) -> "Part":
        """The part nearest to this one that lies inside a picture of that size, on whole blocks."""
        wide, high = (max(1, min(side, LARGEST, most)) for side, most in ((self.width, width), (self.height, height)))
        left = max(0, min(self.left, width - wide)) // BLOCK * BLOCK
        top = max(0, min(self.top, height - high)) // BLOCK * BLOCK
        return Part(left, top, wide, high)

    @property
    def box(self) -> tuple[int, int, int, int]:
        return self.left, self.top, self.left + self.width, self.top + self.height


@dataclass(frozen=True)
class Preview:
    """Two PNG files of the same part, the text to post with the photo, and how strong the noise is (255ths).

    `others`: texts to choose from instead.
    """

    part: Part
    size: tuple[int, int]
    before: bytes
    after: bytes
    caption: str
    others: tuple[str, ...]
    epsilon: float
    lowered: bool

    def to_json(self) -> dict[str, Any]:
        part = {"left": self.part.left, "top": self.part.top, "width": self.part.width, "height": self.part.height}
        noise = {"epsilon": round(self.epsilon, 2), "lowered": self.lowered}
        return {"part": part, "size": self.size, "caption": self.caption, "others": self.others, **noise}


class Recent:
    """The last few values by what they were made from."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._values: OrderedDict[Hashable, Any] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The value of a key, made where it is not kept any more."""
        if key not in self._values:
            self._values[key] = make()
        self._values.move_to_end(key)
        while len(self._values) > self.most:
            self._values.popitem(last=False)
        return self._values[key]


class Previews:
    """Makes previews one after another; what the next one needs again is kept, of one photo at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stills, self._views, self._noises, self._changes = (Recent(most) for most in (1, 1, 1, len(STRENGTHS)))

    def make(
        self, path: Path, caption: str, wanted: str, protector: Protector, settings: PhotoSettings, part: Part
    ) -> Preview:
        """The preview of a part; `wanted` as in `protect_photo`. Raises what `read_still` raises."""
        with self._lock:
            still = self._stills.get(path, lambda: read_still(path, settings.max_pixels))
            image, made = still.image, (path, caption, protector.hash)
            view = self._views.get(path, lambda: protector.look(Prepared(None, (), still)))
            noise, words, size = self._noises.get(made, lambda: _perturbation(view, caption, protector))
            strength, epsilon = STRENGTHS[settings.strength], protector.recipe.noise.epsilon
            change, fit = self._changes.get(
                (made, settings.strength), lambda: visible_change(image, noise, epsilon, strength, size)
            )
        text, *others = texts_to_post(caption, words, protector, settings, wanted)
        part = part.within(*image.size)
        before = image.crop(part.box)
        after = with_noise(before, cut_out(change, image, part), fit.epsilon)
        written = _through_codec(still, after, text, settings)
        pictures = (_png(still, before), _png(still, written))
        return Preview(part, image.size, *pictures, text, tuple(others), fit.epsilon, fit.lowered)


def _perturbation(view: View, caption: str, protector: Protector) -> Perturbation:
    [make] = protector.perturb([replace(view, captions=(caption,))])
    return make()


def cut_out(change: np.ndarray, image: Image.Image, part: Part) -> np.ndarray:
    """The part of a change (float32 HxWx3, to be stretched over the whole picture) at the picture's own size."""
    if change.shape[:2] == (image.height, image.width):
        return change[part.top : part.top + part.height, part.left : part.left + part.width]
    down, across = change.shape[0] / image.height, change.shape[1] / image.width
    left, top, right, bottom = part.box
    box = (left * across, top * down, min(change.shape[1], right * across), min(change.shape[0], bottom * down))
    planes = (Image.fromarray(np.ascontiguousarray(change[..., c])) for c in range(change.shape[2]))
    size = (part.width, part.height)
    return np.stack([np.asarray(plane.resize(size, Image.Resampling.BICUBIC, box)) for plane in planes], axis=-1)


def _through_codec(still: Still, image: Image.Image, caption: str, settings: PhotoSettings) -> Image.Image:
    """What a viewer of the written file sees of the part."""
    if still.lossless:
        return image
    new = new_metadata(still.metadata, caption, still.image.size, settings)
    return decode_still(io.BytesIO(encode_still(still, image, new, settings.quality)), settings.max_pixels).image


def _png(still: Still, image: Image.Image) -> bytes:
    """The picture for a browser, with the photo's own colour profile."""
    buffer = io.BytesIO()
    profile = still.icc if still.icc and still.icc[16:20] == b"RGB " else None
    shown(image).save(buffer, "PNG", compress_level=1, icc_profile=profile)
    return buffer.getvalue()
