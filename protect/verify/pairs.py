"""The attacker's reading: published shards to pixels and captions, as a scraper's loader would take them."""

import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int
from PIL import Image
from torch import Tensor
from webdataset.tariterators import group_by_keys, tar_file_expander

from protect.shards import find_shards
from protect.types import Pixels

IMAGE_SUFFIXES = ("jpg", "png", "jpeg", "webp")  # open_clip's, in its order of preference
PANORAMA = 8  # longer pictures lose their far ends before the resize, which would need gigabytes for them


@dataclass(frozen=True)
class Pairs:
    """Images decoded once, each with its captions; `skipped` samples had no usable image or caption."""

    keys: tuple[str, ...]
    images: Pixels
    captions: tuple[tuple[str, ...], ...]
    skipped: int = 0

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def owner(self) -> Int[Tensor, " texts"]:
        """Number of the image that each caption belongs to, captions in order."""
        counts = torch.tensor([len(lines) for lines in self.captions])
        return torch.arange(len(self)).repeat_interleave(counts)


def read_pairs(sources: Sequence[str], size: int, limit: int = 0, keep: Callable[[str], bool] | None = None) -> Pairs:
    """The first `limit` pairs (0: all) whose key passes `keep`, images cut to `size` pixels square.

    Every non-empty line of a `.txt` is a caption; JSON is not looked at. What cannot be read is skipped and
    counted: a broken shard counts once and gives what came before the break.
    Raises ValueError when nothing is left, ShardError when the shards cannot be found.
    """
    keys: list[str] = []
    captions: list[tuple[str, ...]] = []
    pixels, skipped = bytearray(), 0
    for sample in _samples(find_shards(sources)):
        if sample is not None and keep is not None and not keep(sample["__key__"]):
            continue
        pair = None if sample is None else _pair(sample, size)
        if pair is None or sample is None:
            skipped += 1
            continue
        keys.append(sample["__key__"])
        pixels += pair[0]
        captions.append(pair[1])
        if len(keys) == limit:
            break
    if not keys:
        raise ValueError(
            f"{' '.join(sources)}: expected samples with an image and a .txt, found none that fit "
            f"({skipped} skipped); look at the shards with `protect inspect`"
        )
    images = torch.frombuffer(pixels, dtype=torch.uint8).view(-1, size, size, 3).permute(0, 3, 1, 2)
    return Pairs(tuple(keys), images, tuple(captions), skipped)


def _samples(shards: Sequence[Path]) -> Iterator[dict[str, Any] | None]:
    """webdataset's samples, one by one; None for every place where its reader had to give up."""
    faults: list[Exception] = []

    def go_on(error: Exception) -> bool:
        faults.append(error)
        return True

    for shard in shards:
        with shard.open("rb") as stream:  # webdataset's own opener takes `#` and `?` in a path for URL syntax
            files = tar_file_expander([{"url": str(shard), "stream": stream}], handler=go_on)
            yield from group_by_keys(files, handler=go_on)
        yield from (None for _ in faults)
        faults.clear()


def _pair(sample: dict[str, Any], size: int) -> tuple[bytes, tuple[str, ...]] | None:
    data = next((sample[suffix] for suffix in IMAGE_SUFFIXES if suffix in sample), None)
    if data is None or "txt" not in sample:
        return None
    try:
        lines = [line.strip() for line in sample["txt"].decode("utf-8").split("\n")]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # large or oddly packed pictures: used all the same
            image = Image.open(io.BytesIO(data)).convert("RGB")
    except MemoryError:
        raise
    except Exception:  # hostile bytes: Pillow's parsers raise nearly anything, and a scraper drops the sample
        return None
    captions = tuple(line for line in lines if line)
    return (centre(image, size).tobytes(), captions) if captions else None


def centre(image: Image.Image, size: int) -> Image.Image:
    """CLIP's preprocessing: shorter side to `size` (bicubic), then the square in the middle."""
    short, long = sorted(image.size)
    if long > PANORAMA * short:
        image = _middle(image, min(image.width, PANORAMA * short), min(image.height, PANORAMA * short))
        short, long = sorted(image.size)
    scaled = [size if side == short else int(size * long / short) for side in image.size]
    return _middle(image.resize((scaled[0], scaled[1]), Image.Resampling.BICUBIC), size, size)


def _middle(image: Image.Image, width: int, height: int) -> Image.Image:
    left, top = round((image.width - width) / 2), round((image.height - height) / 2)
    return image.crop((left, top, left + width, top + height))
