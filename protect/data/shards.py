"""Tar shards -> samples, streaming: finds shards, groups members, reports damage."""

import gzip
import re
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from webdataset.shardlists import expand_urls
from webdataset.tariterators import base_plus_ext

from protect.types import Member, Sample


def readable(shard: Path) -> Iterator[Sample]:
    """Samples up to where a shard breaks off: enough to look at or to fit on; protecting the shard reports it."""
    with suppress(TruncatedShard):
        yield from read_samples(shard)


def sibling_parquet(shard: Path) -> Path | None:
    path = shard.with_name(f"{shard_stem(shard)}.parquet")
    return path if path.exists() else None


SHARD_NAME = re.compile(r"([^.].*)[.](tar|tar[.]gz|tgz)", re.IGNORECASE)
IMAGE_EXTENSIONS = ("jpg", "jpeg", "png", "webp")
META_NAME = re.compile(r"__[^/]*__($|/)")


class ShardError(ValueError):
    """A shard, or a list of shards, that cannot be used."""


class TruncatedShard(ShardError):
    """A shard that breaks off or turns to nonsense part of the way."""


def find_shards(sources: Sequence[str]) -> list[Path]:
    """The shards meant by folders (not recursive), tars, brace ranges `dir/{000..007}.tar` and `a::b` lists.

    Raises ShardError when one is missing or of another type, a folder holds none, or two would share an
    output name.
    """
    by_stem: dict[str, Path] = {}
    for source in sources:
        for shard in _expand(source):
            other = by_stem.setdefault(shard_stem(shard), shard)
            if other is not shard:
                raise ShardError(
                    f"shards: expected each name once, found {other} and {shard}; protect them in two runs"
                )
    if not by_stem:
        raise ShardError("shards: expected a folder, a tar or a brace range, found nothing; name at least one")
    return list(by_stem.values())


def _expand(source: str) -> list[Path]:
    try:
        names = [source] if Path(source).exists() else expand_urls(source)
    except ValueError as error:
        raise ShardError(
            f"{source}: expected a range like dir/{{000..007}}.tar, found {error}; close the brace"
        ) from error
    return [shard for name in names for shard in _shards_at(Path(name))]


def _shards_at(path: Path) -> list[Path]:
    if path.is_dir():
        shards = sorted(p for p in path.iterdir() if p.is_file() and _is_shard(p))
        if not shards:
            raise ShardError(
                f"{path}: expected *.tar or *.tar.gz in this folder, found none; name the folder of the tars"
            )
        return shards
    if not path.is_file():
        raise ShardError(f"{path}: expected a local folder or tar, found no such file; check the path")
    if not _is_shard(path):
        raise ShardError(
            f"{path}: expected a name ending in .tar, .tar.gz or .tgz, found another; rename or repack it"
        )
    return [path]


def _is_shard(path: Path) -> bool:
    return SHARD_NAME.fullmatch(path.name) is not None


def shard_stem(path: Path) -> str:
    """What names a shard's parquet and stats: "00000" for 00000.tar, 00000.tar.gz and 00000.tgz."""
    match = SHARD_NAME.fullmatch(path.name)
    return match[1] if match else path.stem


def split_name(name: str) -> tuple[str, str]:
    """Key and lower-case extension of a member, as webdataset splits them; ("", "") if it is in no sample."""
    key, extension = base_plus_ext(name)
    if key is None or META_NAME.match(name):
        return "", ""
    return key, extension.lower()


def read_samples(path: Path) -> Iterator[Sample]:
    """Samples of a tar, plain or gzip, in order; holds one sample in memory.

    A member of no sample (`__meta__`, a name without dot, a directory, whose name here ends in "/") comes as
    a Sample with key "" and that one member; between two members of one sample it rides in that sample, at
    its place, so that readers still see them as neighbours. Links and devices are skipped, as every reader
    does. A key that comes again, or an extension twice in a sample, starts a further Sample of that key.

    Raises ShardError when the file is no tar; TruncatedShard, after every complete sample, when it breaks
    off, is corrupt, or goes on behind its end mark.
    """
    complete = 0
    grouping = _Grouping()
    with _open_tar(path) as tar:
        try:
            for sample in _group(tar, grouping):
                complete += bool(sample.key)
                yield sample
        except _Broken as error:
            work = f"; sample {grouping.key!r} was in work and is dropped" if grouping.key else ""
            if not work:
                yield from grouping.finish()
            raise TruncatedShard(
                f"{path}: expected a whole tar, found {error} after {complete} complete samples{work}; "
                "fetch or pack the shard again"
            ) from error


def _group(tar: tarfile.TarFile, grouping: "_Grouping") -> Iterator[Sample]:
    for name, info in _headers(tar):
        yield from grouping.announce(name)  # before its bytes: they may break off
        grouping.add(Member(name, _content(tar, info)))
    yield from grouping.finish()
    _check_tail(tar)


class _Grouping:
    """Members in, complete samples out."""

    def __init__(self) -> None:
        self.key = ""
        self._members: list[Member] = []
        self._extensions: set[str] = set()
        self._strangers: list[Member] = []  # members of no sample, since the sample's last one

    def announce(self, name: str) -> Iterator[Sample]:
        """What is complete now that a member of this name comes."""
        key, extension = split_name(name)
        joins = key == self.key and extension not in self._extensions
        if (key and not joins) or (not key and not self.key):
            yield from self.finish()
            self.key = key

    def add(self, member: Member) -> None:
        key, extension = split_name(member.name)
        if key:
            self._members += [*self._strangers, member]
            self._extensions.add(extension)
            self._strangers = []
        else:
            self._strangers.append(member)

    def finish(self) -> Iterator[Sample]:
        sample, strangers = Sample(self.key, tuple(self._members)), self._strangers
        self.key, self._members, self._extensions, self._strangers = "", [], set(), []
        if sample.members:
            yield sample
        yield from (Sample("", (stranger,)) for stranger in strangers)


class _Broken(Exception):
    """Why the stream of members cannot go on."""


class _Header(tarfile.TarInfo):
    """A header that must be sound: tarfile alone takes a damaged one, or none, for the end of the tar."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Header":
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise  # the end mark
        except tarfile.HeaderError as error:
            raise _Broken("the end of the file" if len(buf) < tarfile.BLOCKSIZE else str(error)) from error


# What tarfile, gzip and zlib raise on damaged bytes; ValueError and the like come from damaged PAX records.
_DAMAGE = (_Broken, tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error, ValueError, OverflowError)


class _Gzip(gzip.GzipFile):
    """Gives all that can be unpacked before it complains of the rest; its own read() would lose that."""

    def read(self, size: int | None = -1) -> bytes:
        return self.read1(-1 if size is None else size)


@contextmanager
def _open_tar(path: Path) -> Iterator[tarfile.TarFile]:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        stream = _Gzip(fileobj=file) if packed else file
        try:
            tar = tarfile.TarFile.open(fileobj=stream, mode="r|", tarinfo=_Header, encoding="utf-8")
        except _DAMAGE as error:
            raise ShardError(f"{path}: expected a tar, plain or gzip, found {error}; pack the shard again") from error
        with tar, stream:
            yield tar


def _headers(tar: tarfile.TarFile) -> Iterator[tuple[str, tarfile.TarInfo]]:
    while True:
        try:
            info = tar.next()
        except _DAMAGE as error:
            raise _Broken(str(error)) from error
        if info is None:
            return
        tar.members.clear()  # type: ignore[attr-defined]  # else every header read stays in memory
        if info.isreg():
            yield info.name, info
        elif info.isdir():
            yield info.name + "/", info


def _content(tar: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    try:
        file = tar.extractfile(info) if info.isreg() else None
        return file.read() if file is not None else b""
    except _DAMAGE as error:
        raise _Broken(str(error)) from error


def _check_tail(tar: tarfile.TarFile) -> None:
    """A hole of zeros in the middle looks like an end mark; only zeros may follow a true one."""
    try:
        while block := tar.fileobj.read(tarfile.RECORDSIZE):  # type: ignore[union-attr]
            if block.strip(b"\0"):
                raise _Broken("data behind the end mark")
    except _DAMAGE as error:
        raise _Broken(str(error)) from error


def image_member(sample: Sample) -> Member | None:
    """The sample's picture: its first member with extension jpg, jpeg, png or webp."""
    return next((m for m in sample.members if split_name(m.name)[1] in IMAGE_EXTENSIONS), None)
