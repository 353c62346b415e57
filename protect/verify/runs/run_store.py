"""Finished runs on the disk: what a killed comparison resumes from."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from protect.data.journal import Journal
from protect.verify.records import EpochResult, Pictures, Run


class RunStore:
    """Finished runs by id, also in out/runs.jsonl where a folder is given; lines of another version are ignored."""

    def __init__(self, out: Path | None) -> None:
        self._journal = None if out is None else Journal(out / "runs.jsonl")
        lines = [] if self._journal is None else self._journal.read()
        runs = (run for line in lines if (run := _run(line)) is not None)
        self._runs = {run.id: run for run in runs}

    def get(self, identity: str) -> Run | None:
        return self._runs.get(identity)

    def add(self, run: Run) -> None:
        """Stores a run; it is on the disk when this returns."""
        self._runs[run.id] = run
        if self._journal is not None:
            self._journal.append(asdict(run))


def _run(fields: Any) -> Run | None:
    try:
        return Run(**fields | {"epochs": tuple(map(_epoch, fields["epochs"]))})
    except (TypeError, KeyError):
        return None


def _epoch(fields: Any) -> EpochResult:
    pictures = fields["pictures"] and Pictures(*map(tuple, fields["pictures"]))
    return EpochResult(**fields | {"pictures": pictures})
