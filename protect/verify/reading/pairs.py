"""Pairs as attackers hold them: pictures decoded once, near the size they train at, each with its captions."""

import io
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from PIL import Image
from torch import Tensor

from protect.types import Pixels
from protect.verify.reading.image_store import PictureFile, Pictures
from protect.verify.reading.scrape import Find, Keep, scrape

ROOM = 1.25  # pictures are stored with their shorter side at most this many times the training size
PANORAMA = 8  # longer pictures lose their far ends before the resize, which would need gigabytes for them

Edit = Callable[[Image.Image], Image.Image]


@dataclass(frozen=True)
class Pairs:
    """Pictures (uint8, H x W x 3, any size), each with its captions; `skipped` finds had no usable one or other."""

    keys: tuple[str, ...]
    pictures: Sequence[np.ndarray]
    captions: tuple[tuple[str, ...], ...]
    skipped: int = 0

    def __len__(self) -> int:
        return len(self.keys)

    def select(self, rows: Sequence[int]) -> "Pairs":
        """Some of the pairs, in the order of `rows`."""
        stored = isinstance(self.pictures, Pictures)
        pictures = self.pictures.select(rows) if stored else [self.pictures[i] for i in rows]  # type: ignore[attr-defined]
        keys, captions = tuple(self.keys[i] for i in rows), tuple(self.captions[i] for i in rows)
        return Pairs(keys, pictures, captions, self.skipped)

    def recaptioned(self, captions: Sequence[tuple[str, ...]]) -> "Pairs":
        """The same pictures with other captions; a picture that has none left is dropped."""
        changed = replace(self, captions=tuple(captions))
        rows = [i for i, lines in enumerate(captions) if lines]
        return changed if len(rows) == len(self) else changed.select(rows)

    def stored(self, path: Path) -> "Pairs":
        """The same with its pictures in a file, where they were not yet in one."""
        if isinstance(self.pictures, Pictures):
            return self
        return replace(self, pictures=Pictures.write(path, self.pictures))


@dataclass(frozen=True)
class JudgedPairs:
    """Test pairs, their pictures as the square that CLIP's preprocessing makes of them; labels: the class of each."""

    keys: tuple[str, ...]
    images: Pixels
    captions: tuple[tuple[str, ...], ...]
    skipped: int = 0
    labels: tuple[str | None, ...] = ()

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def owner(self) -> Int[Tensor, " texts"]:
        """Number of the image that each caption belongs to, captions in order."""
        counts = torch.tensor([len(lines) for lines in self.captions])
        return torch.arange(len(self)).repeat_interleave(counts)


def read_pairs(
    sources: Sequence[str],
    size: int,
    limit: int | None = None,
    keep: Keep | None = None,
    edit: Edit | None = None,
    store: Path | None = None,
) -> Pairs:
    """The first `limit` pairs (None: all) whose key passes `keep`, to be trained on at `size` pixels.

    `edit` is applied to each decoded picture before it is brought near that size; pictures go to the file
    `store` if one is given. What cannot be read is skipped and counted.
    Raises ValueError when nothing is left, ShardError when there is nothing at the sources.
    """
    reading = _Reading(sources, limit, keep)
    pictures = (np.asarray(reduced(edit(image) if edit else image, size)) for image in reading)
    decoded_pictures: Sequence[np.ndarray] = Pictures.write(store, pictures) if store else list(pictures)
    return Pairs(tuple(reading.keys), decoded_pictures, tuple(reading.captions), reading.skipped)


def read_sizes(
    sources: Sequence[str], stores: Mapping[int, Path], limit: int | None = None, keep: Keep | None = None
) -> dict[int, Pairs]:
    """As `read_pairs`, at each size that there is a file for; every picture is decoded once for all of them."""
    reading = _Reading(sources, limit, keep)
    with ExitStack() as stack:
        files = {size: stack.enter_context(PictureFile(path)) for size, path in stores.items()}
        for image in reading:
            for size, file in files.items():
                file.add(np.asarray(reduced(image, size)))
    about = (tuple(reading.keys), tuple(reading.captions))
    return {size: Pairs(about[0], file.pictures, about[1], reading.skipped) for size, file in files.items()}


def read_judged(
    sources: Sequence[str], size: int, limit: int | None = None, keep: Keep | None = None, edit: Edit | None = None
) -> JudgedPairs:
    """As `read_pairs`, for the test: pictures cut to `size` pixels square, nothing left to chance."""
    reading = _Reading(sources, limit, keep)
    squares = np.stack([np.asarray(centre(edit(image) if edit else image, size)) for image in reading])
    images = torch.from_numpy(squares).permute(0, 3, 1, 2)
    captions, labels = tuple(reading.captions), tuple(reading.labels)
    return JudgedPairs(tuple(reading.keys), images, captions, reading.skipped, labels)


class _Reading:
    """Yields the usable pictures; keys, captions, classes and the number of others are here when it is through."""

    def __init__(self, sources: Sequence[str], limit: int | None, keep: Keep | None) -> None:
        self.sources, self.limit, self.keep = sources, limit, keep or (lambda key: True)
        self.keys: list[str] = []
        self.captions: list[tuple[str, ...]] = []
        self.labels: list[str | None] = []
        self.skipped = 0

    def __iter__(self) -> Iterator[Image.Image]:
        for sample in scrape(self.sources, self.keep):
            image = decoded(sample)
            if sample is None or image is None:
                self.skipped += 1
                continue
            self.keys.append(sample.key)
            self.captions.append(sample.captions)
            self.labels.append(sample.label)
            yield image
            if len(self.keys) == self.limit:
                break
        if not self.keys:
            raise ValueError(
                f"{' '.join(self.sources)}: expected pictures with a caption (.txt), found none that fit "
                f"({self.skipped} skipped); look at shards with `protect inspect`"
            )


def decoded(sample: Find | None) -> Image.Image | None:
    """The picture of a find that has a caption; None for what a loader would skip."""
    if sample is None or not sample.picture or not sample.captions:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # large or oddly packed pictures: used all the same
            return Image.open(io.BytesIO(sample.picture)).convert("RGB")
    except MemoryError:
        raise
    except Exception:  # hostile bytes: Pillow's parsers raise nearly anything, and a scraper drops the sample
        return None


def reduced(image: Image.Image, size: int) -> Image.Image:
    """The picture with its shorter side at most `ROOM` times `size`; bicubic, never enlarged."""
    image = _shortened(image)
    short, target = min(image.size), ceil(ROOM * size)
    if short <= target:
        return image
    scaled = [target if side == short else round(side * target / short) for side in image.size]
    return image.resize((scaled[0], scaled[1]), Image.Resampling.BICUBIC)


def are_whole(pictures: Sequence[np.ndarray], size: int) -> bool:
    """Whether pictures that were brought near `size` are surely as their files have them: none can be reduced."""
    sides = (sorted(picture.shape[:2]) for picture in pictures)
    return all(short < ceil(ROOM * size) and long < PANORAMA * short for short, long in sides)


def centre(image: Image.Image, size: int) -> Image.Image:
    """CLIP's preprocessing: shorter side to `size` (bicubic), then the square in the middle."""
    image = _shortened(image)
    short, long = sorted(image.size)
    scaled = [size if side == short else int(size * long / short) for side in image.size]
    return _middle(image.resize((scaled[0], scaled[1]), Image.Resampling.BICUBIC), size, size)


def _shortened(image: Image.Image) -> Image.Image:
    short, long = sorted(image.size)
    if long <= PANORAMA * short:
        return image
    return _middle(image, min(image.width, PANORAMA * short), min(image.height, PANORAMA * short))


def _middle(image: Image.Image, width: int, height: int) -> Image.Image:
    left, top = round((image.width - width) / 2), round((image.height - height) / 2)
    return image.crop((left, top, left + width, top + height))
