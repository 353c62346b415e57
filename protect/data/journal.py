"""A journal of finished work: one JSON value a line, so that a run that was killed resumes where it stopped."""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protect.files import write_whole


@dataclass(frozen=True)
class Journal:
    """A JSON-lines file that is only added to, or replaced as a whole; `mode` is that of a new file.

    A line without its newline was cut short by a kill. Reading ignores it, and the next `append` removes it.
    """

    path: Path
    mode: int = 0o644

    def read(self) -> Iterator[Any]:
        """The values, oldest first; none without a file. Raises ValueError for a whole line that is not JSON."""
        lines = self.path.read_bytes().split(b"\n")[:-1] if self.path.exists() else []
        for number, line in enumerate(lines, 1):
            try:
                yield json.loads(line)
            except ValueError as error:
                found = line[:60].decode(errors="replace")
                raise ValueError(
                    f"{self.path}, line {number}: expected JSON, found {found!r}; remove that line"
                ) from error

    def append(self, value: Any) -> None:
        """Adds a value; it is on the disk when this returns."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, self.mode)
        with os.fdopen(descriptor, "r+b") as file:
            _seek_end_of_last_line(file)
            file.truncate()
            file.write(_line(value))
            file.flush()
            os.fsync(file.fileno())

    def rewrite(self, values: Iterable[Any]) -> None:
        """Replaces the whole file at once: after a kill it holds the old values or the new ones."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self.path, b"".join(map(_line, values)), self.mode)


def _line(value: Any) -> bytes:
    """Names that are not Unicode keep their bytes, as escaped surrogates."""
    return json.dumps(value).encode() + b"\n"


def _seek_end_of_last_line(file: Any, block: int = 4096) -> None:
    """Moves behind the last newline of a file, or to its start."""
    end = file.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - block)
        file.seek(start)
        place = file.read(end - start).rfind(b"\n")
        if place >= 0:
            end = start + place + 1
            break
        end = start
    file.seek(end)
