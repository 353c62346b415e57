"""What the published files give away: clean captions, links, previews, and near-duplicate clean pictures."""

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image

from protect.data.shards import IMAGE_EXTENSIONS, ShardError, read_samples, shard_stem, split_name
from protect.publish.leaks import Leak, scan_parquet, scan_sample, scan_shard
from protect.settings.publish import PublishSettings
from protect.types import Member, Sample
from protect.verify.reading.matched_sample import Sampled
from protect.verify.reading.pairs import centre
from protect.verify.reading.scrape import OWN_FOLDER, SIDECARS

SIDE = 64  # pictures are compared at this size
ALIKE = 6.0  # root mean square difference, in 255ths, below which two may be copies of one
CLEANER = 0.5  # a copy is a clean one when it is this much nearer to the clean picture than to the protected one


def leaks(sampled: Sampled, changed: bool) -> list[str]:
    """One line for each kind of leak. Captions that were not `changed` give nothing away."""
    reported = [leak for leak in _scan(sampled) if changed or leak.kind != "caption"]
    groups: dict[tuple[str, str], list[Leak]] = {}
    for leak in reported:
        detail = leak.detail.partition(": ")[2] if leak.key else leak.detail
        groups.setdefault((leak.kind, detail or leak.detail), []).append(leak)
    lines = []
    for (kind, detail), group in groups.items():
        first = " ".join(part for part in (group[0].shard, group[0].key) if part)
        lines.append(f"{kind}: {detail}, {len(group)} times, first in {first}")
    return lines


def _scan(sampled: Sampled) -> Iterator[Leak]:
    keys = PublishSettings().caption_keys
    known = {find.key: find.captions for find in sampled.clean}
    copies = _Copies(sampled)
    for path in sampled.files:
        if path.is_dir():
            yield from _photo_leaks(path, sampled, keys)
            yield from copies.in_folder(path)
            continue
        yield from scan_shard(path, lambda key: known.get(key, ()), keys)
        parquet = path.with_name(f"{shard_stem(path)}.parquet")
        if parquet.exists():
            yield from scan_parquet(parquet, lambda key: known.get(key, ()), keys)
        yield from copies.in_shard(path)
    if not sampled.files[0].is_dir():
        yield from copies.in_folder(sampled.files[0].parent)


def _photo_leaks(folder: Path, sampled: Sampled, keys: Sequence[str]) -> Iterator[Leak]:
    clean = {find.key: find.captions for find in sampled.clean}
    for find in sampled.published:
        stem = folder / find.key
        photos = [p for e in IMAGE_EXTENSIONS for p in (stem.with_name(f"{stem.name}.{c}") for c in (e, e.upper()))]
        sidecars = [stem.with_name(f"{stem.name}.{suffix}") for suffix in SIDECARS]
        members = tuple(Member(f"x.{p.suffix[1:]}", p.read_bytes()) for p in (*photos, *sidecars) if p.exists())
        yield from scan_sample(Sample(find.key, members), folder.name, clean[find.key], keys)


class _Copies:
    """Finds pictures that are nearer to a clean picture than to its protected file."""

    def __init__(self, sampled: Sampled) -> None:
        small = [
            (_small(a.picture), _small(b.picture)) for a, b in zip(sampled.clean, sampled.published, strict=True)
        ]
        both = [(a.ravel(), b.ravel()) for a, b in small if a is not None and b is not None]
        self.clean, self.published = (
            np.array(side).reshape(len(both), 3 * SIDE**2) for side in (zip(*both, strict=True) if both else ((), ()))
        )
        self.known = {find.key: find.picture for find in sampled.published}
        self.lengths = (self.clean**2).sum(1)

    def in_shard(self, shard: Path) -> Iterator[Leak]:
        """Further pictures of a sample, and those of samples that were not looked at."""
        with suppress(ShardError):  # the scan has told of it
            for sample in read_samples(shard):
                for member in sample.members:
                    if split_name(member.name)[1] in IMAGE_EXTENSIONS and self._is_clean(sample.key, member.data):
                        yield Leak(
                            shard.name, sample.key, "clean copy", f"{member.name}: near-duplicate of a clean picture"
                        )

    def in_folder(self, folder: Path) -> Iterator[Leak]:
        """Picture files below a folder, but for the tool's own records."""
        for path in sorted(folder.rglob("*")):
            inner = path.relative_to(folder)
            if path.suffix[1:].lower() not in IMAGE_EXTENSIONS or OWN_FOLDER in inner.parts or not path.is_file():
                continue
            key = inner.with_suffix("").as_posix()
            if self._is_clean(key, path.read_bytes()):
                yield Leak(folder.name, key, "clean copy", f"{path.name}: near-duplicate of a clean picture")

    def _is_clean(self, key: str, data: bytes) -> bool:
        small = None if self.known.get(key) == data else _small(data)
        if small is None or not len(self.clean):
            return False
        vector = small.ravel()
        nearest = int((self.lengths - 2 * self.clean @ vector).argmin())
        from_clean, from_published = (_distance(side[nearest], vector) for side in (self.clean, self.published))
        return from_clean <= ALIKE and from_clean < CLEANER * from_published


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(np.square(a - b).mean()))


def _small(data: bytes) -> np.ndarray | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # large or oddly packed pictures
            return np.asarray(centre(Image.open(io.BytesIO(data)).convert("RGB"), SIDE)).astype(np.float32)
    except MemoryError:
        raise
    except Exception:  # hostile bytes: Pillow's parsers raise nearly anything
        return None
