"""Tar shards <-> samples: streaming both ways, with a bit-exact rewrite."""

import os
import tarfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

from protect.data.shards import ShardError, split_name
from protect.samples import Member, Sample


def replace_members(sample: Sample, data: Mapping[str, bytes]) -> Sample:
    """The sample with new bytes for members by extension; raises ShardError on one it does not have."""
    extensions = [split_name(m.name)[1] for m in sample.members]
    missing = sorted(set(data) - set(extensions))
    if missing:
        raise ShardError(
            f"{sample.key}: expected one of {', '.join(extensions)}, found {', '.join(missing)}; add it first"
        )
    members = (Member(m.name, data.get(e, m.data)) for m, e in zip(sample.members, extensions, strict=True))
    return Sample(sample.key, tuple(members))


class ShardWriter:
    """Writes a tar as NAME.part and renames it on commit(); a block left without commit leaves nothing.

    Same samples, same bytes: no times, owners or modes are kept. Gzip when the name ends in gz.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.part = path.with_name(path.name + ".part")

    def __enter__(self) -> "ShardWriter":
        self._file: IO[bytes] = self.part.open("wb")
        self._gzip = zlib.compressobj(wbits=31) if self.path.name.lower().endswith("gz") else None
        self._size = 0
        return self

    def write(self, sample: Sample) -> None:
        """Append the sample's members."""
        for member in sample.members:
            self._put(_header(member))
            self._put(member.data)
            self._put(bytes(-self._size % tarfile.BLOCKSIZE))

    def commit(self) -> None:
        """End the tar, bring it to the disk and give it its name."""
        self._put(bytes(2 * tarfile.BLOCKSIZE))
        self._put(bytes(-self._size % tarfile.RECORDSIZE))
        if self._gzip is not None:
            self._file.write(self._gzip.flush())
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        os.replace(self.part, self.path)

    def __exit__(self, *error: object) -> None:
        with suppress(OSError):  # closing flushes: on a full disk it fails once more
            self._file.close()
        self.part.unlink(missing_ok=True)

    def _put(self, data: bytes) -> None:
        self._size += len(data)
        self._file.write(data if self._gzip is None else self._gzip.compress(data))


def _header(member: Member) -> bytes:
    info = tarfile.TarInfo(member.name.removesuffix("/"))
    info.size, info.mode = len(member.data), 0o644
    if member.name.endswith("/"):
        info.type, info.mode = tarfile.DIRTYPE, 0o755
    try:
        return info.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")
    except ValueError:  # too long, too big or not ASCII: this member alone gets a PAX header
        return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
