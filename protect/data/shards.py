"""Tar shards -> samples, streaming: finds shards, groups members, reports damage."""

import gzip
import os
import re
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

from protect.data.scratch import at_hand
from protect.data.shard_list import SHARD_NAME as SHARD_NAME
from protect.data.shard_list import ShardError as ShardError
from protect.data.shard_list import find_shards as find_shards
from protect.data.shard_list import shard_stem as shard_stem
from protect.data.storage import Place
from protect.samples import Member, Sample


def readable(shard: Place) -> Iterator[Sample]:
    """Samples up to where a shard breaks off: enough to look at or to fit on; protecting the shard reports it."""
    with suppress(ShardError):
        yield from read_samples(shard)


def sibling_parquet(shard: Place) -> Place | None:
    """The parquet of the same name beside a shard, if there is one."""
    path = shard.with_name(f"{shard_stem(shard)}.parquet")
    return path if path.exists() else None


IMAGE_EXTENSIONS = ("jpg", "jpeg", "png", "webp")
META_NAME = re.compile(r"__[^/]*__($|/)")
KEY_AND_EXTENSION = re.compile(r"((?:.*/)?[^.]+)[.]([^/]*)$")  # the extension begins at the first dot of the name


PACKED = (
    (b"\x28\xb5\x2f\xfd", "a file packed by zstd"),
    (b"BZh", "a file packed by bzip2"),
    (b"\xfd7zXZ", "a file packed by xz"),
    (b"\x04\x22\x4d\x18", "a file packed by lz4"),
    (b"PK\x03\x04", "a zip archive"),
)


class TruncatedShard(ShardError):
    """A shard that breaks off or turns to nonsense part of the way."""


def split_name(name: str) -> tuple[str, str]:
    """Key and lower-case extension of a member, as webdataset splits them; ("", "") if it is in no sample."""
    match = KEY_AND_EXTENSION.match(name)
    if match is None or META_NAME.match(name):
        return "", ""
    return match[1], match[2].lower()


def read_samples(shard: Place) -> Iterator[Sample]:
    """Samples of a tar, plain or gzip, in order; holds one sample in memory, and a copy of a remote tar on the disk.

    A member of no sample (`__meta__`, a name without dot, a directory, whose name here ends in "/") comes as
    a Sample with key "" and that one member; between two members of one sample it rides in that sample, at
    its place, so that readers still see them as neighbours. Links and devices are skipped, as every reader
    does. A key that comes again, or an extension twice in a sample, starts a further Sample of that key.

    Raises ShardError when the file is no tar; TruncatedShard, after every complete sample, when it breaks
    off, is corrupt, or goes on behind its end mark.
    """
    with at_hand(shard) as path:
        try:
            yield from _read(path)
        except ShardError as error:
            if path is shard:
                raise
            raise type(error)(str(error).replace(str(path), str(shard))) from error


def _read(path: Path) -> Iterator[Sample]:
    complete = 0
    grouping = _Grouping() if not is_interleaved(path) else _Sorting(path)
    with _open_tar(path) as tar:
        try:
            for sample in _group(tar, grouping):
                complete += bool(sample.key)
                yield sample
        except _Broken as error:
            lost = f"; sample {grouping.key!r} was in work and is dropped" if grouping.key else ""
            if isinstance(error, _NoEnd) or not lost or isinstance(grouping, _Sorting):
                whole = list(grouping.finish())
                complete, lost = complete + sum(bool(sample.key) for sample in whole), ""
                yield from whole
            raise TruncatedShard(
                f"{path}: expected a whole tar, found {error} after {complete} complete samples{lost}; "
                "fetch or pack the shard again"
            ) from error


@lru_cache(256)
def _interleaved(path: Path, size: int, changed: int) -> bool:
    parts: dict[str, set[str]] = {}
    last = ""
    with suppress(*_DAMAGE, OSError), tarfile.open(path, "r:*") as tar:  # reading it will tell of the damage
        for info in tar:
            tar.members.clear()  # type: ignore[attr-defined]
            key, extension = split_name(info.name) if info.isreg() else ("", "")
            if not key:
                continue
            if key != last and key in parts and extension not in parts[key]:
                return True
            parts.setdefault(key, set()).add(extension)
            last = key
    return False


def is_interleaved(path: Path) -> bool:
    """Whether the files of a sample are not side by side in a tar; its headers alone are read, once."""
    about = path.stat()
    return _interleaved(path, about.st_size, about.st_mtime_ns)


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
        self.extensions: set[str] = set()
        self._strangers: list[Member] = []  # members of no sample, since the sample's last one

    def announce(self, name: str) -> Iterator[Sample]:
        """What is complete now that a member of this name comes."""
        key, extension = split_name(name)
        joins = key == self.key and extension not in self.extensions
        if (key and not joins) or (not key and not self.key):
            yield from self.finish()
            self.key = key

    def add(self, member: Member) -> None:
        key, extension = split_name(member.name)
        if key:
            self._members += [*self._strangers, member]
            self.extensions.add(extension)
            self._strangers = []
        else:
            self._strangers.append(member)

    def finish(self) -> Iterator[Sample]:
        sample, strangers = Sample(self.key, tuple(self._members)), self._strangers
        self.key, self._members, self.extensions, self._strangers = "", [], set(), []
        if sample.members:
            yield sample
        yield from (Sample("", (stranger,)) for stranger in strangers)


class _Sorting(_Grouping):
    """Members in, in any order; complete samples out at the end, in the order in which they began."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        room = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
        if path.stat().st_size > room:
            raise ShardError(
                f"{path}: expected the files of a sample side by side, found them apart in a shard too large to sort "
                "in memory; unpack it and pack it again with tar --sort=name"
            )
        self._groups: dict[str, list[_Grouping]] = {}

    def announce(self, name: str) -> Iterator[Sample]:
        yield from ()

    def add(self, member: Member) -> None:
        key, extension = split_name(member.name)
        groups = self._groups.setdefault(key or f"\0{member.name}", [])
        group = next((g for g in groups if extension not in g.extensions), None)
        if group is None or not key:
            group = _Grouping()
            group.key = key
            groups.append(group)
        group.add(member)

    def finish(self) -> Iterator[Sample]:
        for groups in self._groups.values():
            for group in groups:
                yield from group.finish()
        self._groups = {}


class _Broken(Exception):
    """Why the stream of members cannot go on."""


class _NoEnd(_Broken):
    """The file ends behind a whole member, without an end mark."""


class _Header(tarfile.TarInfo):
    """A header that must be sound: tarfile alone takes a damaged one, or none, for the end of the tar."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Header":
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise  # the end mark
        except tarfile.HeaderError as error:
            if not buf:
                raise _NoEnd("no end mark") from error
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
        head = file.read(64).lstrip()
        packed = head.startswith(b"\x1f\x8b")
        file.seek(0)
        stream = _Gzip(fileobj=file) if packed else file
        try:
            tar = tarfile.TarFile.open(fileobj=stream, mode="r|", tarinfo=_Header, encoding="utf-8")
        except _DAMAGE as error:
            found = "an empty file" if not path.stat().st_size else "a web page" if head[:1] == b"<" else str(error)
            packed_as = next((name for magic, name in PACKED if head.startswith(magic)), "")
            cure = "unpack it first" if packed_as else "get the shard again"
            raise ShardError(f"{path}: expected a tar, plain or gzip, found {packed_as or found}; {cure}") from error
        with tar, stream:
            yield tar


def _headers(tar: tarfile.TarFile) -> Iterator[tuple[str, tarfile.TarInfo]]:
    while True:
        try:
            info = tar.next()
        except _NoEnd:
            raise
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
