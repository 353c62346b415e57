"""One shard: read, protect, publish, write; the same bytes whenever and wherever it is run."""

import hashlib
import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from protect import __version__
from protect.jobs.layout import ShardFiles
from protect.jobs.leak_check import CHECKED, Clean
from protect.jobs.sample import Outcome
from protect.settings.publish import PublishSettings

LEFT_OUT = "left out"
COMPARED = 8  # one sample of so many is written clean too, to tell what the codec alone does: a third of phase 2


@dataclass
class Tally:
    """Counts of one shard, filled as its samples pass."""

    status: Counter[str] = field(default_factory=Counter)
    records: list[dict[str, Any]] = field(default_factory=list)
    errors: list[dict[str, str]] = field(default_factory=list)
    parts: Counter[str] = field(default_factory=Counter)
    rows: Counter[str] = field(default_factory=Counter)
    clean: list[Clean] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    left_out: set[str] = field(default_factory=set)  # samples with parts that nobody decided about

    def add(self, outcome: Outcome) -> None:
        key = outcome.sample.key
        self.parts.update(outcome.counts)
        if outcome.clean is not None and len(self.clean) < CHECKED:
            self.clean.append(outcome.clean)
        if outcome.record is not None:
            self.status["success"] += 1
            self.records.append(outcome.record)
            if not outcome.record["survives"]:
                self.errors.append({"key": key, "reason": "trigger cut off: the caption is longer than models read"})
        elif outcome.failure is not None:
            self.status[outcome.failure.kind] += 1
            self.errors.append({"key": key, "reason": str(outcome.failure)})
            if outcome.failure.kind == LEFT_OUT:
                self.left_out.add(key)

    def mean(self, name: str) -> float | None:
        """Mean of one measure over the protected images; infinite ones (no change at all) are left out."""
        values = [v for record in self.records if math.isfinite(v := record[name])]
        return round(math.fsum(values) / len(values), 4) if values else None


def marker(files: ShardFiles[Path], identity: str) -> dict[str, Any]:
    """What the stats say of the files they stand for."""
    return {
        "version": __version__,
        "run": identity,
        "sha256": file_hash(files.target),
        "parquet_sha256": file_hash(files.parquet) if files.parquet.exists() else None,
    }


def _stats(tally: Tally, publish: PublishSettings) -> dict[str, Any]:
    """img2dataset's fields and ours; times are null (they go to the log) so that a rerun writes the same bytes."""
    count, successes = sum(tally.status.values()), tally.status["success"]
    reencoded = Tally(records=[r["reencode"] for r in tally.records if r["reencode"]])
    planted = [r for r in tally.records if r["words"]]
    return {
        "count": count,
        "successes": successes,
        "failed_to_download": 0,
        "failed_to_resize": 0,
        "duration": None,
        "start_time": None,
        "end_time": None,
        "status_dict": dict(sorted(tally.status.items())),
        "protected": successes,
        "skipped": count - successes if publish.on_error == "skip" else len(tally.left_out),
        "failed_to_protect": count - successes,
        "linf": max((r["linf"] for r in tally.records), default=None),
        "psnr": tally.mean("psnr"),
        "ssim": tally.mean("ssim"),
        "psnr_clean_reencode": reencoded.mean("psnr"),
        "ssim_clean_reencode": reencoded.mean("ssim"),
        "trigger_survival": (
            sum(r["survives"] for r in planted) / len(planted) if planted else None
        ),
        "checked_for_leaks": len(tally.clean),
        "leaks": tally.leaks,
        "notes": tally.notes,
        "parts": dict(sorted(tally.parts.items())),
        "rows": dict(sorted(tally.rows.items())),
        "errors": tally.errors,
    }  # fmt: skip


def failed_stats(reason: str, publish: PublishSettings) -> dict[str, Any]:
    """The stats of a shard of which nothing was written."""
    return _stats(Tally(errors=[{"key": "", "reason": reason}]), publish)


def file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
