"""Runs to S3 that are killed again and again, workers and driver, while the server misbehaves."""

import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

FAULTS = {"refused": 0.02, "late": 0.02, "broken": 0.02}
DRIVER = 0.35  # share of the kills that hit the driver
STARTS = 40  # of the driver, at most


def kill_again_and_again(
    command: list[str], kills: int, pause: float, seed: int, workers: str, root: int | None = None
) -> dict[str, Any]:
    """Starts a command until it ends well, and kills it or one of its workers so many times, at random moments.

    workers: what stands in the command line of a worker; a moment counts from when there is one. root: the process
    that workers descend from, where it is not the driver.
    """
    chance, killed, starts, begin, code = random.Random(seed), Counter[str](), 0, time.perf_counter(), None
    while code != 0 and starts < STARTS:
        starts += 1
        driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while driver.poll() is None:
            time.sleep(0.2)
            if killed.total() == kills or not processes(root or driver.pid, workers):
                continue
            with suppress(subprocess.TimeoutExpired):
                driver.wait(chance.uniform(0, pause))
            alive = processes(root or driver.pid, workers)
            if driver.poll() is None and alive:
                who = "driver" if chance.random() < DRIVER else "worker"
                killed[who] += kill(driver.pid if who == "driver" else chance.choice(alive))
        code = driver.returncode
    return {
        "drivers killed": killed["driver"],
        "workers killed": killed["worker"],
        "starts of the driver": starts,
        "exit code of the last": code,
        "seconds": round(time.perf_counter() - begin, 1),
    }


def processes(root: int, called: str) -> list[int]:
    """Processes below one that have this in their command line."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    found = {root}
    while more := {one for one, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(one for one in found - {root} if called in command_line(one))


def command_line(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def kill(process: int) -> bool:
    """SIGKILL; whether there was such a process."""
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


@contextmanager
def ray_cluster(python: str, folder: Path, cores: int, gpus: int) -> Iterator[tuple[str, int]]:
    """A Ray cluster of this machine, with GPUs that it believes in: its address and first process.

    It outlives the drivers that are killed.
    """
    port = random.SystemRandom().randrange(20_000, 30_000)
    command = [python, "-m", "ray.scripts.scripts", "start", "--head", "--block", f"--port={port}"]
    command += [f"--num-cpus={cores}", f"--num-gpus={gpus}", "--include-dashboard=false", "--disable-usage-stats"]
    command += ["--object-store-memory=100000000", f"--temp-dir={folder}"]
    environment = os.environ | {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    with (folder / "start.log").open("wb") as log:
        head = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        for _ in range(120):
            time.sleep(1)
            if b"Ray runtime started" in (folder / "start.log").read_bytes():
                break
        yield f"127.0.0.1:{port}", head.pid
    finally:
        head.terminate()
        with suppress(subprocess.TimeoutExpired):
            head.wait(30)
        for process in (*processes(head.pid, ""), head.pid):
            kill(process)
