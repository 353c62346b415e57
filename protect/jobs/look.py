"""One look at the beginning of each shard: what a run has to know of its input before it begins."""

import json
from contextlib import suppress
from functools import cached_property
from itertools import islice
from pathlib import Path

from protect.data.captions import CaptionError, link_fields
from protect.data.images import ImageError, size_of
from protect.data.parquet import parquet_links
from protect.data.shards import image_member, readable, shard_stem, sibling_parquet
from protect.files import HOME, MARKER
from protect.types import Sample

LEAST = 8  # samples looked at in each shard, at least
MEASURED = 64  # and in all shards together, at least
MOST_PIXELS = 1_000_000_000  # no picture is decoded here


class Look:
    """What the beginning of a shard shows; it is opened once, and only if somebody asks for what stands in it."""

    def __init__(self, shard: Path, samples: int = MEASURED) -> None:
        self.shard, self.samples = shard, samples

    @cached_property
    def protected(self) -> bool:
        """Whether it is this tool's own output, by the files beside it."""
        stats = self.shard.with_name(f"{shard_stem(self.shard)}_stats.json")
        try:
            return (self.shard.parent / HOME).is_dir() or MARKER in dict(json.loads(stats.read_bytes()))
        except (OSError, ValueError, TypeError):
            return False

    @cached_property
    def links(self) -> tuple[str, ...]:
        """Fields that lead back to the originals, in its samples or else in the parquet beside it."""
        parquet = sibling_parquet(self.shard)
        return self._inside[0] or (tuple(parquet_links(parquet)) if parquet is not None else ())

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Width and height of its pictures, by their headers."""
        return self._inside[1]

    @cached_property
    def _inside(self) -> tuple[tuple[str, ...], tuple[tuple[int, int], ...]]:
        links: list[str] = []
        sizes = []
        for sample in islice(readable(self.shard), self.samples):
            links += links_of(sample)
            if (image := image_member(sample)) is not None:
                with suppress(ImageError):  # the sample fails on its own later, by name
                    sizes.append(size_of(image.data, MOST_PIXELS))
        return tuple(links), tuple(sizes)


class Looks(dict[Path, Look]):
    """The looks at all shards of a run, made when they are first asked for."""

    def __init__(self, shards: int = 1) -> None:
        super().__init__()
        self.samples = max(LEAST, MEASURED // max(1, shards))

    def __missing__(self, shard: Path) -> Look:
        look = self[shard] = Look(shard, self.samples)
        return look


def links_of(sample: Sample) -> tuple[str, ...]:
    """The fields of a sample that lead back to its original."""
    try:
        return link_fields(sample)
    except CaptionError:
        return ()  # the sample fails on its own later, by name
