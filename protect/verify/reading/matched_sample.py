"""The same keys of clean and published files, as found: some thousand of them, whatever the size of the set."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from protect.data.shards import find_shards
from protect.data.storage import Place
from protect.verify.reading.scrape import Find, photo_files, scrape

MOST_BYTES = 1 << 28  # of either side's pictures


@dataclass(frozen=True)
class Sampled:
    """Finds of equal keys, published ones in the order of their files.

    files: those that were looked at, of `total`; photos count as one. alone: published keys without a clean find.
    """

    clean: list[Find]
    published: list[Find]
    files: list[Place]
    total: int
    alone: int


def sample(clean: str, published: str, limit: int) -> Sampled:
    """The first `limit` published finds, or as many as 256 MB hold, and the clean ones of the same keys.

    Raises ValueError when no key is in both, ShardError when there is nothing at a source.
    """
    parts: list[Place] = [Path(published)] if photo_files(published) else find_shards([published])
    first: dict[str, Find] = {}
    files: list[Place] = []
    for part in parts:
        files.append(part)
        for find in _few(scrape([str(part)]), limit - len(first), MOST_BYTES - _bytes(first)):
            first.setdefault(find.key, find)
        if len(first) >= limit or _bytes(first) >= MOST_BYTES:
            break
    own: dict[str, Find] = {}
    for find in _few(scrape([clean], first.__contains__), len(first), MOST_BYTES):
        own.setdefault(find.key, find)
    if not first:
        raise ValueError(
            f"{published}: expected pictures with captions, found none; captions are read from NAME.txt, and in "
            "folders of photos also from NAME.json, captions.csv and the photos' EXIF, XMP or IPTC"
        )
    both = [key for key in first if key in own]
    if not both:
        raise ValueError(
            f"{published}: expected keys that {clean} has too, found none among {len(first)}; name the clean data "
            "that was protected"
        )
    alone = len(first) - len(both) if _bytes(own) < MOST_BYTES else 0
    return Sampled([own[key] for key in both], [first[key] for key in both], files, len(parts), alone)


def _few(finds: Iterator[Find | None], most: int, room: int) -> Iterator[Find]:
    """Usable finds, until there are enough of them or of their bytes."""
    if most <= 0 or room <= 0:
        return
    for find in finds:
        if find is not None and find.picture and find.captions:
            most, room = most - 1, room - len(find.picture)
            yield find
        if most <= 0 or room <= 0:
            return  # not after the next one: finding it may mean to read all files


def _bytes(finds: dict[str, Find]) -> int:
    return sum(len(find.picture) for find in finds.values())
