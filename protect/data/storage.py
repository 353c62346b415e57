"""Places of files: local paths, and addresses of object storage such as s3://BUCKET/KEY, used alike."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from protect.data.optional import missing
from protect.data.storage_errors import DRIVERS, StorageError, reaching
from protect.files import CURES, REMOTE, write_whole

BLOCK = 16 << 20  # bytes that are fetched or sent at once
SLOW = ("s3", "gs")  # drivers whose uploads stand open until they are committed


@dataclass(frozen=True)
class Remote:
    """A file or folder in object storage, with the part of a Path's face that shards need.

    size (bytes) and version (what the store calls this state of the file) are known where a listing told them.
    """

    url: str
    size: int | None = field(default=None, compare=False)
    version: str | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return self.url

    def __fspath__(self) -> str:
        raise TypeError(f"{self.url} is no local file: use at_hand()")  # a bug of ours; never let open() guess

    def __truediv__(self, name: str) -> "Remote":
        return Remote(f"{self.url}/{name}") if name else self

    @property
    def protocol(self) -> str:
        return DRIVERS[self.url.partition("://")[0]].protocol

    @property
    def key(self) -> str:
        """What drivers call it: bucket and name."""
        return self.url.partition("://")[2]

    @property
    def name(self) -> str:
        return self.url.rsplit("/", 1)[1]

    @property
    def parent(self) -> "Remote":
        return Remote(self.url.rsplit("/", 1)[0]) if "/" in self.key else self

    def with_name(self, name: str) -> "Remote":
        return Remote(f"{self.url.rsplit('/', 1)[0]}/{name}")

    @property
    def fs(self) -> Any:
        """fsspec's file system. Raises ImportError with the command that installs a missing driver."""
        import fsspec

        driver = DRIVERS[self.url.partition("://")[0]]
        try:
            with reaching(self.url):
                return fsspec.filesystem(driver.protocol, use_listings_cache=False)
        except ImportError as error:
            raise missing(self.url, driver.extra) from error

    def info(self) -> dict[str, Any]:
        """What the store says of it. Raises FileNotFoundError."""
        with reaching(self.url):
            return self.fs.info(self.key)

    def looked_up(self) -> "Remote":
        """The same file with its size and version. Raises FileNotFoundError."""
        return _with_info(self, self.info())

    def exists(self) -> bool:
        try:
            self.info()
        except FileNotFoundError:
            return False
        return True

    def is_file(self) -> bool:
        try:
            return self.info()["type"] == "file"
        except FileNotFoundError:
            return False

    def is_dir(self) -> bool:
        """Whether files lie below it; an empty bucket is a folder, too."""
        try:
            return self.info()["type"] == "directory"
        except FileNotFoundError:
            return False

    def files(self) -> list["Remote"]:
        """All files below it, sorted, with their sizes."""
        with reaching(self.url):
            found = self.fs.find(self.key, detail=True)
        scheme = self.url.partition("://")[0]
        inner = {name.lstrip("/").partition(f"{self.key}/")[2]: info for name, info in found.items()}
        return [_with_info(Remote(f"{scheme}://{self.key}/{name}"), inner[name]) for name in sorted(inner) if name]

    def read_bytes(self, most: int | None = None) -> bytes:
        """Its bytes, or the first `most` of them. Raises FileNotFoundError."""
        with reaching(self.url):
            return self.fs.cat_file(self.key, end=most)

    def write_bytes(self, data: bytes, mode: str = "overwrite") -> None:
        """Write it in one request; mode "create" raises FileExistsError where it is there."""
        with reaching(self.url):
            self.fs.pipe_file(self.key, data, mode=mode)

    def unlink(self) -> None:
        """Remove it, if it is there."""
        with suppress(FileNotFoundError), reaching(self.url):
            self.fs.rm_file(self.key)

    def blocks(self) -> Iterator[bytes]:
        """Its bytes from front to back, a block in memory at a time; fails where the file changes meanwhile."""
        with reaching(self.url):
            file = self.fs.open(self.key, "rb", block_size=BLOCK, cache_type="none")
        with file:
            while True:
                with reaching(self.url):
                    block = file.read(BLOCK)
                if not block:
                    return
                yield block

    def upload(self, source: Path) -> None:
        """Write it from a local file: it is there as a whole or not at all, whenever this is killed."""
        if source.stat().st_size <= BLOCK or self.protocol not in SLOW:
            with reaching(self.url):
                small = source.stat().st_size <= BLOCK or self.protocol == "memory"
                self.fs.pipe_file(self.key, source.read_bytes()) if small else self.fs.put_file(str(source), self.key)
            return
        with source.open("rb") as data, reaching(self.url):
            # Not in a `with`: leaving it by an exception would publish what was sent so far.
            file = self.fs.open(self.key, "wb", block_size=BLOCK, autocommit=False)
            try:
                while block := data.read(BLOCK):
                    file.write(block)
                file.close()
                file.commit()
            except BaseException:
                with suppress(Exception):
                    file.discard()
                file.closed = True  # else it is flushed once more when it is collected
                raise


Place = Path | Remote


def _with_info(remote: Remote, info: dict[str, Any]) -> Remote:
    version = next(
        (str(info[name]) for name in ("ETag", "etag", "md5Hash", "content_settings") if info.get(name)), None
    )
    return replace(remote, size=info.get("size"), version=version)


def is_remote(text: str) -> bool:
    """Whether a text is an address of a storage that can be used, rather than a path."""
    return text.partition("://")[0].lower() in DRIVERS and "://" in text


def place(text: str | Path) -> Place:
    """The place that a text means. Raises StorageError for an address without a bucket, or with a password in it."""
    text = str(text)
    scheme, found, rest = text.partition("://")
    if found and scheme.lower() == "file":
        return Path(rest)
    if not is_remote(text):
        return Path(text)
    bucket = rest.partition("/")[0]
    if "@" in bucket and ":" in bucket:
        cure = DRIVERS[scheme.lower()].credentials
        raise StorageError(f"{scheme}://...: expected an address without a password, found one in it; set {cure}")
    if not bucket and scheme.lower() != "memory":
        raise StorageError(f"{text}: expected {scheme}://BUCKET/FOLDER, found no bucket; name one")
    return Remote(f"{scheme.lower()}://{rest.strip('/')}")


def size_of(place: Place) -> int:
    """Bytes of a file."""
    if isinstance(place, Path):
        return place.stat().st_size
    return int((place if place.size is not None else place.looked_up()).size or 0)


def blocks_of(place: Place) -> Iterator[bytes]:
    """Bytes of a file from front to back, a block in memory at a time."""
    if isinstance(place, Remote):
        yield from place.blocks()
        return
    with place.open("rb") as file:
        while block := file.read(1 << 20):
            yield block


def absolute(place: Place) -> str:
    """The place as it is written down for later runs."""
    return str(place.absolute()) if isinstance(place, Path) else place.url


def write_file(place: Place, data: bytes, mode: int = 0o644, by: str = "") -> None:
    """Write a whole file or none; `mode` is that of a local one, `by` tells apart those who write it at once."""
    if isinstance(place, Path):
        write_whole(place, data, mode, by)
    else:
        place.write_bytes(data)


def check_bucket(place: Remote) -> None:
    """Raises StorageError when the bucket is not there; where one may not ask, the first file will tell."""
    if place.protocol == "memory":
        return
    bucket = place.key.partition("/")[0]
    try:
        with reaching(place.url):
            place.fs.info(bucket)  # `exists` would take missing credentials for a missing bucket
    except FileNotFoundError:
        raise StorageError(
            f"{place.url}: expected the bucket {bucket}, found none of that name; create it or check the name"
        ) from None
    except StorageError as error:
        if "refused" not in str(error):
            raise


def refuse_unknown(name: str, text: str) -> None:
    """Raises StorageError for an address that no driver reads."""
    if is_remote(text) or text.startswith("file://"):
        return
    if found := REMOTE.match(text):
        scheme = (found[1] or found[2]).lower()
        kinds = "a path, s3://, gs:// or az://"
        raise StorageError(
            f"{name}: expected {kinds}, got the address {text}; {CURES.get(scheme, 'download it first')}"
        )
