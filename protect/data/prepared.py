"""A picture and its captions, decoded: what shards and folders of photos alike are read into."""

import hashlib
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from protect.data.captions import CaptionError, captions_of
from protect.data.images import ImageError, Photo, decode
from protect.data.pictures import Picture, shown, view_of
from protect.data.shards import image_member, split_name
from protect.data.views import view_around
from protect.samples import Sample
from protect.settings.publish import PublishSettings

File = TypeVar("File", bound=Picture)
COLOURS = 64  # pixels of the shorter side, at least, that the colours of a whole picture are taken from


class Failure(NamedTuple):
    """Why a sample cannot be protected: a kind that is counted, and the details."""

    kind: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}" if self.detail else self.kind


@dataclass(frozen=True, eq=False)
class View:
    """What a method sees of a picture: a square, uint8 3xNxN, and its captions.

    `size` is the side of the square's middle that a model sees of the picture. `gray`: where all of a picture is
    seen, its brightness, uint8 MxM, and `pixels` are then a small picture of the same place.
    """

    key: str
    pixels: np.ndarray
    captions: tuple[str, ...]
    size: int
    gray: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Prepared(Generic[File]):
    """A decoded picture and its captions.

    Noise and words are drawn from `key`. A photo has none of its own: its key is the hash of what a model sees, so
    that copies of it get the same noise, whatever their names.
    """

    key: str | None
    captions: tuple[str, ...]
    picture: File

    def view(self, size: int) -> View:
        """The square that a model of this size sees."""
        pixels = view_of(self.picture.image, size)
        return View(self._key(pixels), pixels, self.captions, size)

    def whole(self, size: int) -> View:
        """All of the picture, at the scale at which a model of this size sees its middle."""
        key = self.key if self.key is not None else self.view(size).key
        image = shown(self.picture.image)
        small = image.reduce(max(1, min(image.size) // COLOURS))
        pixels = view_around(small, min(size, *small.size)).transpose(2, 0, 1)
        return View(key, pixels, self.captions, size, view_around(image.convert("L"), size))

    def _key(self, pixels: np.ndarray) -> str:
        return self.key if self.key is not None else hashlib.sha256(pixels.tobytes()).hexdigest()


def prepare(sample: Sample, settings: PublishSettings) -> Prepared[Photo] | Failure:
    """Decodes a sample of a shard, or says why it cannot be used."""
    image = image_member(sample)
    if image is None:
        return Failure(
            "no image", f"found {', '.join(split_name(m.name)[1] or m.name for m in sample.members)}"[:200]
        )
    try:
        captions = captions_of(sample, settings.caption_keys)
        if not captions:
            return Failure("no caption")
        return Prepared(sample.key, captions, decode(image.data, settings.max_pixels))
    except CaptionError as error:
        return Failure("unreadable caption", str(error))
    except ImageError as error:
        return Failure("unusable image", str(error))
