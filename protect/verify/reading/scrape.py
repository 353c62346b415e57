"""The attacker's finds: published shards or folders of photos, as a scraper's loader would take them."""

import csv
import hashlib
import io
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image
from webdataset.tariterators import group_by_keys, tar_file_expander

from protect.data.captions import CaptionError, captions_of
from protect.data.metadata.metadata import read_metadata
from protect.data.scratch import at_hand
from protect.data.shards import find_shards
from protect.data.storage import Place
from protect.samples import Member, Sample
from protect.settings.publish import PublishSettings

IMAGE_SUFFIXES = ("jpg", "png", "jpeg", "webp")  # open_clip's, in its order of preference
SIDECARS = ("txt", "json")
LABEL = "cls"
TABLE = "captions.csv"
OWN_FOLDER = "_protect"  # the tool's records beside what is published

Keep = Callable[[str], bool]


class Find(NamedTuple):
    """What one key holds: a picture's bytes and captions, either of them perhaps empty; its class, if any."""

    key: str
    picture: bytes
    captions: tuple[str, ...]
    label: str | None = None


def scrape(sources: Sequence[str], keep: Keep = lambda key: True) -> Iterator[Find | None]:
    """Everything in shards or photo folders whose key passes `keep`; None for every place that is broken.

    In shards every non-empty line of a `.txt` is a caption, and JSON is not looked at; a `.cls` holds a class. A
    folder without shards is one of photos, taken recursively: keys are paths without extension, captions the lines of
    NAME.txt, the caption fields of NAME.json and the rows of captions.csv (columns file and caption); of photos
    without any of these, the captions in EXIF, XMP or IPTC.
    Raises ShardError when there is nothing at a source, CaptionError for a captions.csv without its columns.
    """
    for source in sources:
        if photos := photo_files(source):
            yield from _photos(Path(source), photos, keep)
        else:
            yield from _samples(find_shards([source]), keep)


def photo_files(source: str) -> list[Path]:
    """The photos of a folder, sorted; none when it is a folder of shards, or no folder."""
    folder = Path(source)
    if not folder.is_dir() or any(
        path.name.lower().endswith((".tar", ".tar.gz", ".tgz")) for path in folder.iterdir()
    ):
        return []
    return sorted(path for path in folder.rglob("*") if _is_published(path.relative_to(folder)) and path.is_file())


def _is_published(path: Path) -> bool:
    hidden = any(part.startswith(".") or part == OWN_FOLDER for part in path.parts)
    return not hidden and path.suffix.lower().removeprefix(".") in IMAGE_SUFFIXES


def source_hashes(source: str) -> dict[str, str]:
    """SHA-256 by file name: of every shard's bytes, or one of all photos with their captions."""
    photos = photo_files(source)
    if not photos:
        return {shard.name: _digest(shard) for shard in find_shards([source])}
    folder, whole = Path(source), hashlib.sha256()
    sidecars = [photo.with_suffix(f".{suffix}") for photo in photos for suffix in (*SIDECARS, LABEL)]
    for path in sorted({*photos, *sidecars, *folder.rglob(TABLE)}):
        if path.exists():
            whole.update(f"{path.relative_to(folder).as_posix()}\0{_digest(path)}\n".encode())
    return {f"{len(photos)} photos": whole.hexdigest()}


def _digest(place: Place) -> str:
    with at_hand(place) as path, path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _samples(shards: Sequence[Place], keep: Keep) -> Iterator[Find | None]:
    """webdataset's samples, one by one; None for every place where its reader had to give up."""
    faults: list[Exception] = []

    def go_on(error: Exception) -> bool:
        faults.append(error)
        return True

    for shard in shards:
        with (
            at_hand(shard) as path,
            path.open("rb") as stream,
        ):  # webdataset's own opener takes `#` and `?` in a path for URL syntax
            files = tar_file_expander([{"url": str(shard), "stream": stream}], handler=go_on)
            for sample in group_by_keys(files, handler=go_on):
                if keep(sample["__key__"]):
                    yield _find(sample)
        yield from (None for _ in faults)
        faults.clear()


def _find(sample: dict[str, Any]) -> Find:
    picture = next((sample[suffix] for suffix in IMAGE_SUFFIXES if suffix in sample), b"")
    try:
        lines = [line.strip() for line in sample.get("txt", b"").decode("utf-8").split("\n")]
    except UnicodeDecodeError:
        lines = []
    return Find(sample["__key__"], picture, tuple(line for line in lines if line), _label(sample.get(LABEL)))


def _label(data: bytes | None) -> str | None:
    return (data or b"").decode("utf-8", "replace").strip() or None


def _photos(folder: Path, photos: Sequence[Path], keep: Keep) -> Iterator[Find]:
    tables = defaultdict[Path, list[str]](list)
    for table in sorted(folder.rglob(TABLE)):
        for path, caption in _table(table):
            tables[path].append(caption)
    for photo in photos:
        key = photo.relative_to(folder).with_suffix("").as_posix()
        if keep(key):
            data = photo.read_bytes()
            captions = (*_sidecars(photo), *tables[photo]) or _embedded(data)
            beside = photo.with_suffix(f".{LABEL}")
            label = _label(beside.read_bytes() if beside.exists() else None)
            yield Find(key, data, tuple(dict.fromkeys(captions)), label)


def _sidecars(photo: Path) -> tuple[str, ...]:
    """Captions beside a photo; a file that cannot be read has none."""
    captions: list[str] = []
    for suffix in SIDECARS:
        path = photo.with_suffix(f".{suffix}")
        if path.exists():
            try:
                sample = Sample(photo.stem, (Member(f"x.{suffix}", path.read_bytes()),))
                captions += captions_of(sample, PublishSettings().caption_keys)
            except CaptionError:
                continue
    return tuple(captions)


def _embedded(data: bytes) -> tuple[str, ...]:
    """Captions inside a photo; a file that cannot be read has none."""
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(data)) as image:
            warnings.simplefilter("ignore")  # odd metadata: what can be read of it is used
            return tuple(read_metadata(image).captions.values())
    except MemoryError:
        raise
    except Exception:  # hostile bytes: Pillow's parsers raise nearly anything
        return ()


def _table(table: Path) -> Iterator[tuple[Path, str]]:
    rows = csv.DictReader(io.StringIO(table.read_text(encoding="utf-8-sig", errors="replace"), newline=""))
    if not {"file", "caption"} <= set(rows.fieldnames or ()):
        names = ", ".join(rows.fieldnames or ()) or "none"
        raise CaptionError(
            f"{table}: expected the columns file and caption, found {names}; name them in its first row"
        )
    for row in rows:
        caption = " ".join((row["caption"] or "").split())
        if caption and row["file"]:
            yield table.parent / row["file"], caption
