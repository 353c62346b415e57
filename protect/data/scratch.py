"""Remote files at hand: fetched once from front to back into a local file, which goes when it is no longer needed."""

import hashlib
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from protect.data.storage import Place, blocks_of

HEAD = 4 << 20  # bytes that are enough to look at a shard's first samples


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder of its own that is gone afterwards; TMPDIR says where."""
    with tempfile.TemporaryDirectory(prefix="protect-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def fetch(source: Place, target: Path) -> str:
    """Copies a file, a block in memory at a time; returns its SHA-256. Raises FileNotFoundError and Transient."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    try:
        with target.open("wb") as file:
            for block in blocks_of(source):
                file.write(block)
                digest.update(block)
    except FileNotFoundError:
        target.unlink()
        raise
    return digest.hexdigest()


def fetch_beside(place: Place, names: Iterable[str], folder: Path) -> None:
    """Copies further files of the folder of a file, those of them that are there."""
    for name in names:
        with suppress(FileNotFoundError):
            fetch(place.with_name(name), folder / name)


@contextmanager
def at_hand(place: Place, beside: tuple[str, ...] = (), whole: bool = True) -> Iterator[Path]:
    """A local path to read a file by: a local one itself, of a remote one a copy under its own name.

    beside: names of further files of the same folder that are fetched too, where they are there. Not `whole`: the
    first HEAD bytes are enough.
    """
    if isinstance(place, Path):
        yield place
        return
    with scratch() as folder:
        path = folder / place.name
        if whole:
            fetch(place, path)
        else:
            path.write_bytes(place.read_bytes(HEAD))
        fetch_beside(place, beside, folder)
        yield path


def folder_at_hand(place: Place) -> Path:
    """A local folder to read a small remote one by, such as a protector; a copy goes with this process."""
    if isinstance(place, Path):
        return place
    folder = Path(tempfile.mkdtemp(prefix="protect-"))
    weakref.finalize(_KEPT, shutil.rmtree, folder, ignore_errors=True)
    files = place.files()
    for file in files:
        fetch(file, folder / file.url.removeprefix(f"{place.url}/"))
    if not files:
        raise FileNotFoundError(2, "No such file or directory", str(place))
    return folder


class _Kept:
    """Lives as long as this process."""


_KEPT = _Kept()
