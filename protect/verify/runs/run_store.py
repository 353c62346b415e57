"""Finished runs on the disk: what a killed comparison goes on from."""

import json
import os
from dataclasses import asdict
from pathlib import Path

from protect.verify.result import EpochResult, Run


class RunStore:
    """Finished runs by id, one JSON line each in out/runs.jsonl; a line cut short by a kill is ignored."""

    def __init__(self, out: Path | None) -> None:
        self._runs: dict[str, Run] = {}
        self._path = None if out is None else out / "runs.jsonl"
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        text = self._path.read_text(encoding="utf-8") if self._path.exists() else ""
        if text and not text.endswith("\n"):
            self._append("\n")  # so that the next line does not continue the broken one
        for line in text.splitlines():
            try:
                fields = json.loads(line)
                run = Run(**fields | {"epochs": tuple(EpochResult(**epoch) for epoch in fields["epochs"])})
            except (ValueError, TypeError, KeyError):
                continue
            self._runs[run.id] = run

    def get(self, identity: str) -> Run | None:
        return self._runs.get(identity)

    def add(self, run: Run) -> None:
        """Keep a run, on the disk before this returns."""
        self._runs[run.id] = run
        self._append(json.dumps(asdict(run)) + "\n")

    def _append(self, text: str) -> None:
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
