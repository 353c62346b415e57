"""Files that are there whole or not at all."""

import hashlib
import os
from pathlib import Path

LONGEST_NAME = 255  # bytes, on every file system in use


def write_whole(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write beside the target, flush to the disk, then rename over it; each torchrun process has its own part."""
    part = path.with_name(f"{path.name}{os.environ.get('RANK', '')}.part")
    if len(os.fsencode(part.name)) > LONGEST_NAME:
        part = path.with_name(hashlib.sha256(os.fsencode(path.name)).hexdigest() + ".part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


MARKER = "protect"  # field of the stats file by which the tool knows its own output
HOME = "_protect"


class PlanError(ValueError):
    """A run that must not begin as it was asked for."""
