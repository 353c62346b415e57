"""`protect photos` by one process and by several: wall time, processor time, memory, and when the first photo is out.

    python benchmarks/photos_jobs.py --jobs 1,2 --photos 8

The photos are the sample photos enlarged to 12 megapixels. Wall time depends on what else the machine does: the load
of the machine before each run stands beside it. Processor time is that of all processes, their start included.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from common import ROOT, RUNS, save, table
from PIL import Image

SIZE = (4000, 3000)
LOOK = 0.2  # seconds between looks at the first photo and at the processes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", default="1,2", help="numbers of processes")
    parser.add_argument("--photos", type=int, default=8)
    settings = parser.parse_args()
    source = RUNS / "photos_jobs" / "in"
    shutil.rmtree(source.parent, ignore_errors=True)
    source.mkdir(parents=True)
    samples = sorted((ROOT / "samples/photos").glob("*.jpg"))
    for number in range(settings.photos):
        with Image.open(samples[number % len(samples)]) as image:
            image.convert("RGB").resize(SIZE).save(source / f"{number:03}.jpg", quality=92)
    rows = [measured(source, int(jobs)) for jobs in settings.jobs.split(",")]
    print(table(rows))
    print(save("photos_jobs", vars(settings), rows).relative_to(ROOT))


def measured(source: Path, jobs: int) -> dict[str, Any]:
    """One run in a process of its own."""
    out = source.with_name(f"out-{jobs}")
    shutil.rmtree(out, ignore_errors=True)
    load, begin = os.getloadavg()[0], time.perf_counter()
    code = "from protect.cli import main; main()"
    command = [sys.executable, "-c", code, "photos", source, out, "--seed", "1", "--quiet", "--jobs", str(jobs)]
    run = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, start_new_session=True)
    first, used, seconds, memory = None, 0.0, {}, 0.0
    while run.poll() is None:
        using = usage(run.pid)
        seconds |= {pid: cpu for pid, (cpu, _) in using.items()}
        if first is None and next(out.glob("*.jpg"), None):
            first, used = time.perf_counter() - begin, sum(seconds.values())
        memory = max(memory, sum(megabytes for _, megabytes in using.values()))
        time.sleep(LOOK)
    if run.returncode:
        raise SystemExit(f"protect photos ended with {run.returncode}")
    return {
        "jobs": jobs,
        "load before": round(load, 1),
        "wall s": round(time.perf_counter() - begin, 1),
        "first photo s": round(first or 0, 1),
        "processor s until then": round(used, 1),
        "processor s": round(sum(seconds.values()), 1),
        "memory MB": round(memory),
    }


def usage(session: int) -> dict[int, tuple[float, float]]:
    """Processor seconds and proportional memory (MB) of each process of a session, by /proc."""
    using = {}
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError):
            fields = (path / "stat").read_text().rpartition(") ")[2].split()
            if int(fields[3]) == session:
                ticks = int(fields[11]) + int(fields[12])
                rollup = (path / "smaps_rollup").read_text()
                kilobytes = int(rollup.partition("\nPss:")[2].split()[0])
                using[int(path.name)] = ticks / os.sysconf("SC_CLK_TCK"), kilobytes / 1024
    return using


if __name__ == "__main__":
    main()
