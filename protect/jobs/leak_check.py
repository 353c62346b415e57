"""A look for leaks in the files of a shard that was just written: some of its samples, opened again."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from protect.publish.leaks import Leak, Originals, plain_key, scan_parquet, scan_shard
from protect.settings.publish import PublishSettings

CHECKED = 32  # samples of a shard: a full scan is `protect inspect`


@dataclass(frozen=True)
class Clean:
    """What a sample was before it was protected, and its captions as they should be now."""

    key: str
    captions: tuple[str, ...]
    published: tuple[str, ...]
    picture: bytes


def check_leaks(
    shard: Path,
    parquet: Path,
    clean: list[Clean],
    settings: PublishSettings,
    noise: bool = True,
    texts: Iterable[tuple[str, Sequence[str], Sequence[str]]] = (),
    known: Collection[str] = (),
) -> list[str]:
    """One line for each leak of these samples that nobody asked for; without noise, clean pictures were asked for.

    texts: key, captions and published captions of all samples of the shard; known: the keys of all its samples. Files
    that belong to none of them are looked at too.
    """
    originals, keys = Originals(settings.caption_keys), [sample.key for sample in clean]
    for key, captions, published in texts:
        originals.texts.add(plain_key(key), captions, published)
    for sample in clean:
        originals.add(sample.key, sample.captions, sample.published, sample.picture)
    originals.pictures.files = {plain_key(sample.key): sample.picture for sample in clean}
    leaks = [*scan_shard(shard, originals, keys, known)] if keys or known else []
    if keys and parquet.exists():
        leaks += scan_parquet(parquet, originals, keys)
    wanted = leaks if noise else [leak for leak in leaks if leak.kind != "unprotected"]
    return list(dict.fromkeys(_lines(wanted, settings)))


def _lines(leaks: list[Leak], settings: PublishSettings) -> Iterator[str]:
    for leak in leaks:
        kept = leak.kind in ("link", "hash") and settings.urls == "keep"
        kept |= leak.kind == "clean picture" and settings.others == "keep"
        kept |= leak.kind == "place" and settings.keep_gps
        if not kept:
            yield f"{leak.key or leak.shard}: {leak.kind}: {leak.detail}"
