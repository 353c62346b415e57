"""Processor seconds that each command takes where it has nothing to do: imports, and a look at two pictures.

    python benchmarks/startup.py

Each command is started several times, in turns; the least time of user and system together is what it costs when the
machine does nothing else. `limit`: the time it may take, where there is an aim.
"""

import argparse
import os
import shutil
import subprocess
from pathlib import Path
from statistics import median

from cluster import make_shards
from common import PROTECT, ROOT, RUNS, save, table

WORK = RUNS / "startup"


def calls(shards: Path, out: Path) -> dict[str, tuple[list[str], float | None]]:
    """Commands by what they show, with the processor seconds that they may take."""
    again = ["shards", str(shards), str(out), "--method", "instant"]
    return {
        "--version": (["--version"], 0.3),
        "--help": (["--help"], 0.3),
        "shards --help": (["shards", "--help"], 0.3),
        "status": (["status", str(out)], 1.0),
        "inspect": (["inspect", str(out)], 1.0),
        "shards, refused: no such IN": (["shards", str(shards / "none"), str(out)], 1.0),
        "shards, refused: OUT of another run": (["shards", str(shards), str(shards.parent)], 1.0),
        "shards, all done before": (again, None),
        "shards --dry-run": ([*again[:2], str(out) + "-new", *again[3:], "--dry-run"], None),
    }


def seconds(command: list[str]) -> float:
    """User and system time of a process; RuntimeError where it ends otherwise than by itself."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) not in (0, 2):
        raise RuntimeError(f"{' '.join(command)}: exit code {os.waitstatus_to_exitcode(status)}")
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    shutil.rmtree(WORK, ignore_errors=True)
    shards, out = make_shards(WORK / "in", 1, 2, 64), WORK / "out"
    subprocess.run([*PROTECT, "shards", str(shards), str(out), "--method", "instant", "-q"], check=True)
    commands = calls(shards, out)
    spent: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(given.repeats):
        for name, (words, _) in commands.items():
            spent[name].append(seconds([*PROTECT, *words]))
    rows = [
        {
            "command": name,
            "least": round(min(spent[name]), 3),
            "median": round(median(spent[name]), 3),
            "limit": limit,
        }
        for name, (_, limit) in commands.items()
    ]
    print(table(rows))
    print(save("startup", vars(given), rows).relative_to(ROOT))


if __name__ == "__main__":
    main()
