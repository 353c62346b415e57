"""What every benchmark needs: where data is, a measured subprocess, and a result file that says how it was made."""

import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "../shared/data"
RESULTS = ROOT / "benchmarks/results"
RUNS = ROOT / "runs"  # git-ignored: everything here can be made again
PROTECT = [sys.executable, "-P", "-m", "protect.cli"]  # the tool's own command line
PACKAGES = ("torch", "open_clip_torch", "pillow", "numpy", "webdataset")


def measured(command: list[str], threads: int | None = None) -> dict[str, float]:
    """Runs a command; its wall seconds, processor seconds and peak memory in MB. RuntimeError when it fails."""
    environment = dict(os.environ)
    if threads:
        environment |= {"OMP_NUM_THREADS": str(threads)}
    begin = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=sys.stderr)
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) not in (0, 1):
        raise RuntimeError(f"{' '.join(command)}: exit code {os.waitstatus_to_exitcode(status)}")
    return {
        "seconds": round(time.perf_counter() - begin, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_mb": round(usage.ru_maxrss / 1024, 1),
    }


def protect(*arguments: object, threads: int | None = None) -> dict[str, float]:
    """The tool's own command line, measured."""
    return measured([*PROTECT, *map(str, arguments)], threads)


def make(out: Path, options: Sequence[object], clean: str | Path) -> None:
    """Shards protected once; files of an earlier version of the tool stay what they are."""
    if not (out / "_protect/manifest.jsonl").exists():
        protect("shards", clean, out, *options)


def save(name: str, settings: dict[str, Any], result: Any) -> Path:
    """Writes `benchmarks/results/NAME.json`: the result and everything it depends on."""
    RESULTS.mkdir(exist_ok=True)
    about = {
        "command": " ".join(["python", *sys.argv]).replace(str(ROOT) + "/", ""),
        "commit": commit(),
        "date": time.strftime("%Y-%m-%d"),
        "cores": os.cpu_count(),
        "processor": platform.processor() or platform.machine(),
        "versions": {name: version(name) for name in PACKAGES},
    }
    path = RESULTS / f"{name}.json"
    text = json.dumps({"about": about, "settings": settings, "result": result}, indent=1)
    path.write_text(text.replace(str(ROOT) + "/", "") + "\n")
    return path


def commit() -> str:
    """The commit that is measured, and whether the tool was changed since."""
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    dirty = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", "protect", "cli"], cwd=ROOT).returncode != 0
    return head + (" with local changes" if dirty else "")


def own_peak_mb() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as an aligned Markdown table."""
    names = list(rows[0])
    cells = [names, *[[_cell(row[name]) for name in names] for row in rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(names))]
    lines = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in cells]
    return "\n".join([lines[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *lines[1:]])


def _cell(value: Any) -> str:
    return "-" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
