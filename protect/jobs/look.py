"""One look at the beginning of each shard: what a run has to know of its input before it begins."""

import json
from contextlib import suppress
from functools import cached_property
from itertools import islice

from protect.data.captions import CaptionError, Undecided, look_at, other_members
from protect.data.images import ImageError, decode, size_of
from protect.data.parquet import look_at_parquet
from protect.data.same_picture import same_pictures
from protect.data.scratch import at_hand
from protect.data.shards import image_member, readable, shard_stem, sibling_parquet
from protect.data.storage import Place
from protect.files import HOME, MARKER
from protect.samples import Sample
from protect.settings.publish import PublishSettings

LEAST = 8  # samples looked at in each shard, at least
MEASURED = 64  # and in all shards together, at least
MOST_PIXELS = 1_000_000_000  # no picture is decoded here


class Look:
    """What the beginning of a shard shows; it is opened once, and only if somebody asks for what stands in it."""

    def __init__(self, shard: Place, samples: int = MEASURED, settings: PublishSettings | None = None) -> None:
        self.shard, self.samples, self.settings = shard, samples, settings or PublishSettings()

    @cached_property
    def protected(self) -> bool:
        """Whether it is this tool's own output, by the files beside it."""
        stats = self.shard.with_name(f"{shard_stem(self.shard)}_stats.json")
        try:
            return (self.shard.parent / HOME).is_dir() or MARKER in dict(json.loads(stats.read_bytes()))
        except (OSError, ValueError, TypeError):
            return False

    @cached_property
    def undecided(self) -> Undecided:
        """What only its owner can decide about, in its samples and in the parquet beside it."""
        parquet, inside = sibling_parquet(self.shard), self._inside[0]
        links, others = inside.links, inside.others
        if parquet is not None:
            with suppress(CaptionError):  # its shard fails on its own later
                beside = look_at_parquet(parquet, self.settings)
                links, others = (*links, *beside.links), (*others, *beside.others)
        return Undecided(links, others)

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Width and height of its pictures, by their headers."""
        return self._inside[1]

    @cached_property
    def _inside(self) -> tuple[Undecided, tuple[tuple[int, int], ...]]:
        links: list[str] = []
        others: list[str] = []
        sizes = []
        with at_hand(self.shard, whole=False) as shard:
            for sample in islice(readable(shard), self.samples):
                undecided = undecided_in(sample, self.settings)
                links += undecided.links
                others += undecided.others
                if (image := image_member(sample)) is not None:
                    with suppress(ImageError):  # the sample fails on its own later, by name
                        sizes.append(size_of(image.data, MOST_PIXELS))
        return Undecided(tuple(links), tuple(others)), tuple(sizes)


class Looks(dict[Place, Look]):
    """The looks at all shards of a run, made when they are first asked for."""

    def __init__(self, shards: int = 1, settings: PublishSettings | None = None) -> None:
        super().__init__()
        self.samples = max(LEAST, MEASURED // max(1, shards))
        self.settings = settings

    def __missing__(self, shard: Place) -> Look:
        look = self[shard] = Look(shard, self.samples, self.settings)
        return look


def undecided_in(sample: Sample, settings: PublishSettings) -> Undecided:
    """What in a sample only its owner can decide about; nothing where it cannot be read: it fails later, by name."""
    image, same = image_member(sample), dict[str, bytes]()
    with suppress(ImageError):
        if image is not None and other_members(sample):
            photo = decode(image.data, settings.max_pixels)
            same = {member.name: b"" for member, _ in same_pictures(sample, photo, settings.max_pixels)}
    try:
        undecided = look_at(sample, settings, same)
    except CaptionError:
        return Undecided((), ())
    return undecided if image is not None or not sample.key else Undecided(undecided.links, ())
