"""What was done with each file of a photo folder: one line of JSON a file, and the list of captions to post."""

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from protect.data.journal import Journal
from protect.data.photo_folder import CAPTIONS
from protect.files import HOME, write_whole

RECORDS = "photos.jsonl"


@dataclass(frozen=True)
class PhotoRecord:
    """One file: what became of it, the caption to post, and how much it changed.

    `name` is the path below the folder, with forward slashes; epsilon and linf are in 255ths, psnr in dB,
    width and height those of the written picture. `lowered`: the quality floor lowered epsilon. `stamp` says
    what the file was made from, `written` (bytes) how long it is; by both the next run knows that it is done.
    `original` (bytes) is how long the photo's own file is. `alternatives`: texts to post instead of a suggested one.
    """

    name: str
    status: Literal["protected", "skipped", "failed"]
    reason: str = ""
    caption_before: str = ""
    caption: str = ""
    caption_from: str = ""
    suggested: bool = False
    alternatives: tuple[str, ...] = ()
    width: int = 0
    height: int = 0
    epsilon: float = 0.0
    linf: float = 0.0
    psnr: float = 0.0
    ssim: float = 0.0
    lowered: bool = False
    seconds: float = 0.0
    stamp: str = ""
    written: int = 0
    original: int = 0

    @classmethod
    def from_dict(cls, values: Any) -> "PhotoRecord":
        """Raises ValueError for anything that is not a record."""
        known = {f.name for f in fields(cls)}
        if not isinstance(values, dict) or not {"name", "status"} <= set(values) <= known:
            raise ValueError(f"record: expected the fields of a photo record, found {str(values)[:60]!r}")
        return cls(**values | {"alternatives": tuple(values.get("alternatives", ()))})


def records_path(out: Path) -> Path:
    return out / HOME / "private" / RECORDS


def records_journal(out: Path) -> Journal:
    """Where a run notes each file it has finished, for its owner alone: captions stand in it."""
    return Journal(records_path(out), mode=0o600)


def read_records(out: Path) -> dict[str, PhotoRecord]:
    """The latest record of each file of a run, by name, sorted. Raises ValueError for a damaged record."""
    records = map(PhotoRecord.from_dict, records_journal(out).read())
    return dict(sorted({record.name: record for record in records}.items()))


def append_record(out: Path, record: PhotoRecord) -> None:
    """Adds a finished file; its record is on the disk when this returns."""
    records_journal(out).append(asdict(record))


def write_records(out: Path, records: Iterable[PhotoRecord]) -> None:
    """The whole list anew."""
    records_journal(out).rewrite(map(asdict, records))


def write_list(out: Path, records: Iterable[PhotoRecord]) -> None:
    """OUT/captions.csv: the text to post with each protected photo."""
    lines = io.StringIO(newline="")
    writer = csv.writer(lines)
    writer.writerow(("file", "caption", "suggested"))
    for record in records:
        if record.status == "protected":
            writer.writerow((record.name, record.caption, "yes" if record.suggested else ""))
    write_whole(out / CAPTIONS, lines.getvalue().encode(errors="surrogateescape"))
