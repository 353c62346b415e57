"""What was done with each file of a photo folder: one line of JSON a file, and the list of captions to post."""

import csv
import io
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal

from protect.data.photo_folder import CAPTIONS
from protect.files import HOME, write_whole

RECORDS = "photos.jsonl"


@dataclass(frozen=True)
class PhotoRecord:
    """One file: what became of it, the caption to post, and how much it changed.

    `name` is the path below the folder, with forward slashes; epsilon and linf are in 255ths, psnr in dB,
    width and height those of the written picture. `lowered`: the quality floor lowered epsilon. `stamp` says
    what the file was made from, `written` (bytes) how long it is; by both the next run knows that it is done.
    """

    name: str
    status: Literal["protected", "skipped", "failed"]
    reason: str = ""
    caption_before: str = ""
    caption: str = ""
    caption_from: str = ""
    suggested: bool = False
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

    def to_json(self) -> str:
        """One line; a name that is no Unicode keeps its bytes (as lone surrogates, escaped)."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str | bytes) -> "PhotoRecord":
        """Raises ValueError on anything that is not a record."""
        values = json.loads(line)
        known = {f.name for f in fields(cls)}
        if not isinstance(values, dict) or not {"name", "status"} <= set(values) <= known:
            raise ValueError(f"record: expected the fields of a photo record, found {str(line)[:60]!r}")
        return cls(**values)


def records_path(out: Path) -> Path:
    return out / HOME / "private" / RECORDS


def read_records(out: Path) -> dict[str, PhotoRecord]:
    """The latest record of each file of a run, by name, sorted; a line that broke off is left out."""
    records = {}
    try:
        lines = records_path(out).read_bytes().splitlines()
    except FileNotFoundError:
        return {}
    for number, line in enumerate(lines):
        try:
            record = PhotoRecord.from_json(line)
        except ValueError:
            if number < len(lines) - 1:
                raise
            continue  # the run was killed while it wrote this one
        records[record.name] = record
    return dict(sorted(records.items()))


def append_record(out: Path, record: PhotoRecord) -> None:
    """Adds a finished file; the line is on the disk when this returns."""
    with records_path(out).open("ab") as file:
        file.write(record.to_json().encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def write_records(out: Path, records: Iterable[PhotoRecord]) -> None:
    """The whole list anew, one line a file, for its owner alone."""
    lines = "".join(record.to_json() + "\n" for record in records)
    write_whole(records_path(out), lines.encode(), mode=0o600)


def write_list(out: Path, records: Iterable[PhotoRecord]) -> None:
    """OUT/captions.csv: the text to post with each protected photo."""
    lines = io.StringIO(newline="")
    writer = csv.writer(lines)
    writer.writerow(("file", "caption", "suggested"))
    for record in records:
        if record.status == "protected":
            writer.writerow((record.name, record.caption, "yes" if record.suggested else ""))
    write_whole(out / CAPTIONS, lines.getvalue().encode(errors="surrogateescape"))
