"""Many shards through S3, killed again and again: nothing lost, nothing doubled, the bytes of one local process.

    python benchmarks/cluster.py                       40 shards of 500 pairs: an hour on two cores
    python benchmarks/cluster.py --shards 8 --pairs 40 --kills 6 --small 300

The server is moto's, on this machine. Each part adds its figures to benchmarks/results/cluster.json as it ends, with
the load of the machine before it: `--parts` runs some of them again.

- same: 1, 2 and 8 processes, two parts, tasks and actors of Ray write to S3 what one process writes on the disk.
- kills: local processes, tasks and actors, and the drivers of each are killed at random moments, while the server
  answers some requests with 503 and some late, and breaks off some uploads half way.
- speed: pictures a second of one and of two processes, and of Ray beside two processes, start-up taken off.
- ahead: seconds of one worker whose shards come late, with the next one fetched meanwhile and without.
- memory: many small shards through one worker; its resident memory over the first and the last twentieth.
"""

import argparse
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from cluster_kills import FAULTS, kill_again_and_again, processes, ray_cluster
from common import PROTECT, RESULTS, RUNS, commit, save
from PIL import Image
from s3_server import BUCKET, Server

WORK = RUNS / "cluster"
WITHOUT_AHEAD = [
    sys.executable, "-P", "-c",
    "from protect.jobs.ahead import Ahead\nfrom protect.cli import main\n"
    "Ahead._fetch_following = lambda self: None\nmain()",
]  # fmt: skip
FORK = "from multiprocessing.forkserver"  # in the command lines of local workers and of the process they come from
DELAY = 1.0  # seconds that each shard comes late in the part `ahead`


def make_shards(folder: Path, shards: int, pairs: int, side: int, seed: int = 0) -> Path:
    """Shards of smooth random pictures with captions, as small as a benchmark of the machinery needs."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    draw = np.random.default_rng(seed)
    words = ("red", "boat", "old", "harbour", "two", "dogs", "green", "hill", "white", "house", "tall", "tree")
    for shard in range(shards):
        with tarfile.open(folder / f"{shard:05}.tar", "w") as tar:
            for pair in range(pairs):
                small = Image.fromarray(draw.integers(0, 256, (6, 6, 3), dtype=np.uint8))
                data = io.BytesIO()
                small.resize((side, side), Image.Resampling.BICUBIC).save(data, "JPEG", quality=90)
                caption = " ".join(draw.choice(words, 6)).encode()
                for name, content in (("jpg", data.getvalue()), ("txt", caption)):
                    info = tarfile.TarInfo(f"{shard:05}{pair:05}.{name}")
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
    return folder


def run(*arguments: object, command: list[str] = PROTECT) -> float:
    """Seconds of a call of the command line. RuntimeError when it fails."""
    begin = time.perf_counter()
    done = subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{arguments}: exit code {done.returncode}: {done.stderr[-800:]}")
    return round(time.perf_counter() - begin, 1)


def fresh(name: str) -> Path:
    shutil.rmtree(WORK / name, ignore_errors=True)
    return WORK / name


def comparable(hashes: dict[str, str]) -> dict[str, str]:
    """The files of shards: markers and logs hold times."""
    return {
        name: value
        for name, value in hashes.items()
        if not name.endswith((".done.json", "job.json")) and "/log" not in name
    }


def local_hashes(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def processor_seconds(root: int) -> dict[int, float]:
    """User and system time so far of a process and of all below it."""
    found = {}
    for process in (root, *processes(root, "")):
        with suppress(OSError, IndexError):  # it has ended meanwhile
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            found[process] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return found


class Cluster:
    """What all parts share: the server, the shards in it, a protector, and what one local process makes of them."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given, self.server = given, Server()
        self.source, self.protector = (
            make_shards(WORK / "in", given.shards, given.pairs, given.side),
            WORK / "protector",
        )
        run("fit", self.source, "-o", self.protector, "--method", "instant", "-q")
        run("shards", self.source, fresh("local"), "--protector", self.protector, "--workers", "1", "-q")
        self.reference, self.remote = comparable(local_hashes(WORK / "local")), self.server.put(self.source, "in")

    def call(self, out: object, *options: str) -> list[str]:
        """The arguments that protect the shards in S3."""
        return ["shards", self.remote, str(out), "--protector", str(self.protector), *options, "-q"]

    def same(self) -> dict[str, Any]:
        """Whether each way to spread the shards writes the reference's bytes, and how long it takes."""
        ways = {f"{count} processes": [["--workers", count]] for count in self.given.workers.split(",")}
        ways["2 parts"] = [["--part", f"{part}/2", "--workers", "1"] for part in range(2)]
        rows = {name: self._way(name, calls) for name, calls in ways.items()}
        if not self.given.no_ray:
            rows["tasks of Ray"] = self._way("tasks of Ray", [["--distributor", "ray"]])
            with self._ray() as (address, _):
                on = ["--distributor", "ray", "--address", address, "--gpus-per-worker", "1"]
                rows["actors of Ray"] = self._way("actors of Ray", [on])
        return rows

    def _way(self, name: str, calls: list[list[str]]) -> dict[str, Any]:
        folder = "same-" + name.replace(" ", "-")
        seconds = [run(*self.call(f"s3://{BUCKET}/{folder}", *call)) for call in calls]
        return {"seconds": seconds, **self._compared(folder)}

    def _compared(self, folder: str) -> dict[str, Any]:
        written = self.server.hashes(folder)
        found = {
            "identical": comparable(written) == self.reference,
            "shards": sum(name.endswith(".tar") for name in written),
            "markers": sum(name.endswith(".done.json") for name in written),
            "uploads left open": self.server.uploads(),
        }
        print(folder, found, flush=True)
        return found

    def _ray(self) -> Any:
        folder = Path(tempfile.mkdtemp(prefix="ray-"))  # short: Ray's sockets lie in it
        return ray_cluster(sys.executable, folder, cores=2, gpus=2)

    def kills(self) -> dict[str, Any]:
        """Killed local processes, tasks and actors, each with their drivers."""
        found = {"local": self._killed("local", ["--workers", "2"], FORK, None)}
        if not self.given.no_ray:
            found["tasks, Ray of the driver"] = self._killed(
                "own-ray", ["--distributor", "ray"], "ray::_protect", None
            )
            with self._ray() as (address, head):
                on = ["--distributor", "ray", "--address", address]
                found["tasks, Ray that stays"] = self._killed("tasks", on, "ray::_protect", head)
                on += ["--gpus-per-worker", "1"]
                found["actors"] = self._killed("actors", on, "ray::Worker", head)
        for name in ("drivers killed", "workers killed"):
            found[f"{name}, in all"] = sum(one[name] for one in found.values() if isinstance(one, dict))
        return found

    def _killed(self, name: str, options: list[str], workers: str, root: int | None) -> dict[str, Any]:
        self.server.faults, self.server.counts = dict(FAULTS), dict.fromkeys(FAULTS, 0)
        command = [*PROTECT, *self.call(f"s3://{BUCKET}/kills-{name}", *options, "--tries", "50")]
        found = kill_again_and_again(command, self.given.kills, self.given.pause, len(name), workers, root)
        self.server.faults = {}
        return found | {"requests": dict(self.server.counts)} | self._compared(f"kills-{name}")

    def speed(self) -> dict[str, Any]:
        """Pictures a second on the disk and processor milliseconds a picture, the best of a few turns.

        On a machine that does other work too, processor time alone tells what more processes cost: two that need as
        much of it for a picture as one does are twice as fast on two cores.
        """
        ways = {"1 process": ["--workers", "1"], "2 processes": ["--workers", "2"]}
        if not self.given.no_ray:
            ways["2 tasks of Ray"] = ["--distributor", "ray"]
        turns = [{name: self._speed(options) for name, options in ways.items()} for _ in range(self.given.turns)]
        rates = {name: max(turn[name][0] for turn in turns) for name in ways}
        costs = {name: min(turn[name][1] for turn in turns) for name in ways}
        found: dict[str, Any] = {"images a second": rates, "processor ms an image": costs, "turns": turns}
        found["2 processes against 1, by the clock"] = round(rates["2 processes"] / rates["1 process"], 3)
        found["by processor time"] = round(2 * costs["1 process"] / costs["2 processes"], 3)
        if not self.given.no_ray:
            found["overhead of Ray, by processor time"] = round(costs["2 tasks of Ray"] / costs["2 processes"] - 1, 3)
        return found

    def _speed(self, options: list[str]) -> tuple[float, float]:
        """From the end of the first shards, which hold the imports of their processes, to the end of the last."""
        out, first = fresh("speed"), max(2, self.given.shards // 4)
        call = ["shards", self.source, out, "--protector", self.protector, *options, "-q"]
        process = subprocess.Popen([*PROTECT, *map(str, call)], stdout=subprocess.DEVNULL)
        log, spent, marks = out / "_protect/log.jsonl", dict[int, float](), list[tuple[float, float, int]]()
        while process.poll() is None:
            spent |= processor_seconds(process.pid)
            done = log.read_bytes().count(b"\n") if log.exists() else 0
            if done >= first and (not marks or done > marks[-1][2]):
                marks.append((time.perf_counter(), sum(spent.values()), done))
            time.sleep(0.1)
        (begin, cost, some), (end, whole, all_) = marks[0], marks[-1]
        pictures = self.given.pairs * (all_ - some)
        rate, milliseconds = round(pictures / (end - begin), 1), round(1e3 * (whole - cost) / pictures, 3)
        print(options, rate, milliseconds, flush=True)
        return rate, milliseconds

    def ahead(self) -> dict[str, Any]:
        """Seconds of one worker: shards on the disk, and shards in S3 that each come late."""
        on = ("--workers", "1")
        self.server.delay = 0.0
        found = {"from S3 at once": run(*self.call(fresh("ahead"), *on))}
        self.server.delay = DELAY
        found["late, fetched ahead"] = run(*self.call(fresh("ahead"), *on))
        found["late, fetched when needed"] = run(*self.call(fresh("ahead"), *on), command=WITHOUT_AHEAD)
        self.server.delay = 0.0
        return found | {"shards": self.given.shards, "seconds that each is late": DELAY}

    def memory(self) -> dict[str, Any]:
        """Resident memory of one worker over many small shards, by the file system's word on it."""
        source, out = make_shards(WORK / "small", self.given.small, 2, 48, seed=3), fresh("small-out")
        command = [*PROTECT, "shards", source, out, "--protector", self.protector, "--workers", "1", "-q"]
        process, begin = subprocess.Popen([str(word) for word in command]), time.perf_counter()
        readings: list[tuple[float, int]] = []  # MB, shards done
        while process.poll() is None:
            time.sleep(1)
            log = out / "_protect/log.jsonl"
            try:
                pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
            except (OSError, IndexError):
                break
            done = log.read_bytes().count(b"\n") if log.exists() else 0
            if pages:  # else it has just ended
                readings.append((pages * os.sysconf("SC_PAGE_SIZE") / 2**20, done))
        working = [reading for reading in readings if reading[1] >= 20]  # after the imports
        few = max(1, len(working) // 20)
        return {
            "shards": working[-1][1],
            "of": self.given.small,
            "seconds": round(time.perf_counter() - begin, 1),
            "first MB": round(float(np.median([mb for mb, _ in working[:few]])), 1),
            "last MB": round(float(np.median([mb for mb, _ in working[-few:]])), 1),
            "most MB": round(max(mb for mb, _ in readings), 1),
        }


def add(given: argparse.Namespace, part: str, found: dict[str, Any], load: float) -> None:
    """Adds the figures of a part to those of others."""
    path = RESULTS / f"{given.name}.json"
    before = json.loads(path.read_text()) if path.exists() else {"settings": {}, "result": {}}
    settings = {name: value for name, value in vars(given).items() if name not in ("parts", "name")}
    about = {"settings": settings, "load": round(load, 1), "command": " ".join(["python", *sys.argv])}
    about["commit"] = commit()
    save(given.name, before["settings"] | {part: about}, before["result"] | {part: found})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, default=40)
    parser.add_argument("--pairs", type=int, default=500, help="of a shard (500)")
    parser.add_argument("--side", type=int, default=64, help="pixels of a picture's side (64)")
    parser.add_argument("--kills", type=int, default=20, help="of each of the four kinds of runs (20)")
    parser.add_argument("--pause", type=float, default=8, help="seconds before each of them, at most (8)")
    parser.add_argument("--turns", type=int, default=3, help="of the part speed (3)")
    parser.add_argument("--small", type=int, default=10_000, help="small shards for the memory (10000)")
    parser.add_argument("--workers", default="1,2,8", help="numbers of processes that are compared (1,2,8)")
    parser.add_argument("--parts", default="same,speed,ahead,kills,memory")
    parser.add_argument("--name", default="cluster", help="of the file of results (cluster)")
    parser.add_argument("--no-ray", action="store_true")
    given = parser.parse_args()
    os.environ |= {
        "OMP_NUM_THREADS": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "disabled",
        "RAY_worker_niceness": "0",  # else its workers give way to everything else on this machine
    }
    cluster = Cluster(given)
    for part in given.parts.split(","):
        begin, load = time.perf_counter(), os.getloadavg()[0]
        found = getattr(cluster, part)()
        print(part, found, f"{time.perf_counter() - begin:.0f} s", flush=True)
        add(given, part, found, load)


if __name__ == "__main__":
    main()
