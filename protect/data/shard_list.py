"""The shards that are meant by folders, tars and ranges, and their places below OUT."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from webdataset.shardlists import expand_urls

from protect.files import HOME, refuse_address

SHARD_NAME = re.compile(r"([^.].*)[.](tar|tar[.]gz|tgz)", re.IGNORECASE)
PACKED = re.compile(r"[.](?:tar[.](?:zst|zstd|bz2|xz|lz4)|tbz2?|txz|zip|7z|rar)$", re.IGNORECASE)


class ShardError(ValueError):
    """A shard, or a list of shards, that cannot be used."""


def find_shards(sources: Sequence[str]) -> list[Path]:
    """The shards meant by folders and all folders in them, tars, ranges `dir/{000..007}.tar` and `a::b` lists.

    Raises ShardError when one is missing or of another type, a folder holds none, or two would share an
    output name; PlanError for addresses.
    """
    return list(name_shards(sources))


def name_shards(sources: Sequence[str]) -> dict[Path, str]:
    """The same shards, each with its place below OUT: its path in the folder that was named, else its name."""
    found: dict[str, Path] = {}
    names: dict[Path, str] = {}
    for source in sources:
        refuse_address("IN", source)
        for shard, name in _expand(source):
            other = found.setdefault(name.removesuffix(shard.name) + shard_stem(shard), shard)
            if other is not shard:
                raise ShardError(
                    f"shards: expected each name once, found {other} and {shard}; protect them in two runs"
                )
            names[shard] = name
    if not found:
        raise ShardError("shards: expected a folder, a tar or a brace range, found nothing; name at least one")
    return names


def _expand(source: str) -> Iterator[tuple[Path, str]]:
    try:
        places = [source] if Path(source).exists() else expand_urls(source)
    except ValueError as error:
        raise ShardError(
            f"{source}: expected a range like dir/{{000..007}}.tar, found {error}; close the brace"
        ) from error
    for place in places:
        refuse_address("IN", place)
        path = Path(place)
        for shard in _shards_at(path):
            yield shard, shard.relative_to(path).as_posix() if path.is_dir() else shard.name


def _shards_at(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.is_file() and not _is_hidden(p.relative_to(path)))
        shards = [file for file in files if _is_shard(file)]
        if not shards:
            packed = next((f" but {f.name}; unpack it first" for f in files if PACKED.search(f.name)), "")
            cure = packed or "; name the folder of the tars"
            raise ShardError(f"{path}: expected *.tar or *.tar.gz in this folder, found none{cure}")
        return shards
    if not path.is_file():
        raise ShardError(f"{path}: expected a local folder or tar, found no such file; check the path")
    if not _is_shard(path):
        raise ShardError(
            f"{path}: expected a name ending in .tar, .tar.gz or .tgz, found another; rename or repack it"
        )
    return [path]


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") or part == HOME for part in path.parts)


def _is_shard(path: Path) -> bool:
    return SHARD_NAME.fullmatch(path.name) is not None


def shard_stem(path: Path) -> str:
    """What names a shard's parquet and stats: "00000" for 00000.tar, 00000.tar.gz and 00000.tgz."""
    match = SHARD_NAME.fullmatch(path.name)
    return match[1] if match else path.stem
