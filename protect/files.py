"""Files that are there whole or not at all."""

import hashlib
import os
import re
from pathlib import Path

LONGEST_NAME = 255  # bytes, on every file system in use


def write_whole(path: Path, data: bytes, mode: int = 0o644, by: str = "") -> None:
    """Write beside the target, flush to the disk, then rename over it.

    by: who writes, where several processes may write the same file at once; torchrun says it by itself.
    """
    part = path.with_name(f"{path.name}{by or os.environ.get('RANK', '')}.part")
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


REMOTE = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/{1,3}(?=[^/])|(pipe):")  # a path has lost the second slash
CURES = {
    "s3": "copy it first (aws s3 sync)",
    "gs": "copy it first (gcloud storage rsync)",
    "hf": "download it first (hf download)",
    "pipe": "run the command first and keep what it writes in a .tar file",
}


def refuse_address(name: str, place: str) -> None:
    """Raises PlanError for an address where a local folder or file is meant."""
    found = REMOTE.match(place)
    if found:
        cure = CURES.get((found[1] or found[2]).lower(), "download it first")
        where = "copy it there afterwards" if name == "OUT" else cure
        raise PlanError(f"{name}: expected a local folder or file, got the address {place}; {where}")
