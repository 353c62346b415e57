"""The shards that are meant by folders, tars and ranges, and their places below OUT."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath, PurePosixPath

from braceexpand import braceexpand

from protect.data.storage import Place, Remote, check_bucket, place, refuse_unknown
from protect.files import HOME

SHARD_NAME = re.compile(r"([^.].*)[.](tar|tar[.]gz|tgz)", re.IGNORECASE)
PACKED = re.compile(r"[.](?:tar[.](?:zst|zstd|bz2|xz|lz4)|tbz2?|txz|zip|7z|rar)$", re.IGNORECASE)


class ShardError(ValueError):
    """A shard, or a list of shards, that cannot be used."""


def find_shards(sources: Sequence[str]) -> list[Place]:
    """The shards meant by folders and all folders in them, tars, ranges `dir/{000..007}.tar` and `a::b` lists.

    Each may be a path or an address such as s3://BUCKET/FOLDER. Raises ShardError when one is missing or of another
    type, a folder holds none, or two would share an output name; PlanError for addresses that cannot be read.
    """
    return list(name_shards(sources))


def name_shards(sources: Sequence[str]) -> dict[Place, str]:
    """The same shards, each with its place below OUT: its path in the folder that was named, else its name."""
    found: dict[str, Place] = {}
    names: dict[Place, str] = {}
    for source in sources:
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


def _expand(source: str) -> Iterator[tuple[Place, str]]:
    refuse_unknown("IN", source)
    try:
        places = [source] if Path(source).exists() else _expanded(source)
    except ValueError as error:
        raise ShardError(
            f"{source}: expected a range like dir/{{000..007}}.tar, found {error}; close the brace"
        ) from error
    for text in places:
        refuse_unknown("IN", text)
        path = place(text)
        if isinstance(path, Remote):
            yield from _remote_shards_at(path)
            continue
        for shard in _shards_at(path):
            yield shard, shard.relative_to(path).as_posix() if path.is_dir() else shard.name


def _expanded(source: str) -> list[str]:
    """Ranges in braces and lists with `::`, written as webdataset takes them. Raises ValueError."""
    return [text for part in source.split("::") for text in braceexpand(part)]


def _shards_at(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.is_file() and not _is_hidden(p.relative_to(path)))
        shards = [file for file in files if _is_shard(file.name)]
        if not shards:
            raise _no_shards(path, [file.name for file in files])
        return shards
    if not path.is_file():
        raise ShardError(f"{path}: expected a local folder or tar, found no such file; check the path")
    _check_name(path)
    return [path]


def _remote_shards_at(source: Remote) -> Iterator[tuple[Remote, str]]:
    """One listing of a folder, or one look at a tar."""
    check_bucket(source)
    if source.is_file():
        _check_name(source)
        yield source.looked_up(), source.name
        return
    files = {file.url.removeprefix(f"{source.url}/"): file for file in source.files()}
    if not files:
        raise ShardError(f"{source}: expected a folder or a tar, found nothing of that name; check the address")
    known = {name: file for name, file in files.items() if not _is_hidden(PurePosixPath(name))}
    shards = {name: file for name, file in known.items() if _is_shard(file.name)}
    if not shards:
        raise _no_shards(source, [file.name for file in known.values()])
    for name, shard in shards.items():
        yield shard, name


def _no_shards(folder: Place, names: Sequence[str]) -> ShardError:
    packed = next((f" but {name}; unpack it first" for name in names if PACKED.search(name)), "")
    cure = packed or "; name the folder of the tars"
    return ShardError(f"{folder}: expected *.tar or *.tar.gz in this folder, found none{cure}")


def _check_name(shard: Place) -> None:
    if not _is_shard(shard.name):
        raise ShardError(
            f"{shard}: expected a name ending in .tar, .tar.gz or .tgz, found another; rename or repack it"
        )


def packed_beside(sources: Sequence[str]) -> tuple[str, ...]:
    """Archives in the folders of shards that are packed in a way that is not read, by their path in their folder.

    Of local folders alone: a listing of a bucket is not made twice.
    """
    folders = [Path(source) for source in sources if Path(source).is_dir()]
    files = ((file, file.relative_to(folder)) for folder in folders for file in folder.rglob("*"))
    return tuple(sorted(str(name) for file, name in files if _is_packed(file, name)))


def _is_packed(file: Path, name: Path) -> bool:
    return PACKED.search(name.name) is not None and not _is_hidden(name) and file.is_file()


def _is_hidden(path: PurePath) -> bool:
    return any(part.startswith(".") or part == HOME for part in path.parts)


def _is_shard(name: str) -> bool:
    return SHARD_NAME.fullmatch(name) is not None


def shard_stem(shard: Place) -> str:
    """What names a shard's parquet and stats: "00000" for 00000.tar, 00000.tar.gz and 00000.tgz."""
    match = SHARD_NAME.fullmatch(shard.name)
    return match[1] if match else Path(shard.name).stem
