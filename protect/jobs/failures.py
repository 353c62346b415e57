"""Shards that failed as a whole: one private record each, until they are protected after all."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from protect.data.storage import Place, write_file
from protect.jobs.layout import FAILED, PRIVATE, files_of


@dataclass
class Failures:
    """The records of an OUT, by the names of the shards."""

    out: Place
    known: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, out: Place) -> "Failures":
        return cls(out, read_failures(out))

    def note(self, name: str, failure: str) -> None:
        """Writes down why a shard failed; where it did not ("") removes the record of an earlier failure."""
        files = files_of(self.out, name)
        if failure:
            record = {"shard": name, "reason": failure, "time": time.time()}
            write_file(files.failure, json.dumps(record, indent=1).encode(), 0o600)
        elif name in self.known:
            files.failure.unlink()


def read_failures(out: Place) -> dict[str, dict[str, Any]]:
    """What is recorded below OUT; a record that cannot be read is none."""
    if isinstance(out, Path):
        files: list[Any] = sorted((out / PRIVATE).rglob(f"*{FAILED}"))
    else:
        files = [file for file in (out / PRIVATE).files() if file.name.endswith(FAILED)]
    found = {}
    for file in files:
        try:
            record = json.loads(file.read_bytes())
            found[str(record["shard"])] = record
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found
