"""Many shards through S3, killed again and again: nothing lost, nothing doubled, the bytes of one local process.

    python benchmarks/cluster.py                       40 shards of 500 pairs: hours on two cores
    python benchmarks/cluster.py --shards 8 --pairs 40 --kills 6 --small 300

The server is moto's, on this machine. Each part writes its figures to benchmarks/results/cluster.json as it ends.

- same: 1, 2 and 8 processes, two parts, and Ray write to S3 what one process writes on the disk.
- kills: workers and drivers of runs to S3 are killed at random moments, while the server answers some requests with
  503 and others late; every driver that died is started again.
- speed: pictures a second of one and of two processes, and of Ray beside two processes, start-up taken off.
- memory: many small shards through one worker; its resident memory over the first and the last twentieth.
"""

import argparse
import hashlib
import io
import json
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import RUNS, save
from PIL import Image

WORK = RUNS / "cluster"
METHOD = ("--method", "instant")
BUCKET = "cluster"
PROTECT = [sys.executable, "-P", "-m", "protect.cli"]


class Server:
    """moto's S3, which can be told to answer with 503, or late."""

    def __init__(self) -> None:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication
        from moto.server import ThreadedMotoServer

        logging.getLogger("werkzeug").setLevel(logging.ERROR)  # else it writes a line for each request
        self.faulty, self.slow, self.refused = 0.0, 0.0, 0
        true, chance = DomainDispatcherApplication.__call__, random.Random(1)

        def answer(app: Any, environ: Any, start: Any) -> Any:
            if chance.random() < self.slow:
                time.sleep(0.5)
            if chance.random() < self.faulty:
                self.refused += 1
                environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
                start("503 Slow Down", [("Content-Type", "application/xml")])
                return [b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"]
            return true(app, environ, start)

        DomainDispatcherApplication.__call__ = answer  # type: ignore[method-assign]
        self.server = ThreadedMotoServer(port=0, verbose=False)
        self.server.start()
        _, port = self.server.get_host_and_port()
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            del os.environ[name]
        os.environ |= {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_EC2_METADATA_DISABLED": "true",
            "OMP_NUM_THREADS": "1",
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        import boto3

        self.client = boto3.client("s3")
        self.client.create_bucket(Bucket=BUCKET)

    def put(self, folder: Path, prefix: str) -> str:
        for path in sorted(folder.iterdir()):
            self.client.put_object(Bucket=BUCKET, Key=f"{prefix}/{path.name}", Body=path.read_bytes())
        return f"s3://{BUCKET}/{prefix}"

    def hashes(self, prefix: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{prefix}/"):
            for one in page.get("Contents", ()):
                data = self.client.get_object(Bucket=BUCKET, Key=one["Key"])["Body"].read()
                found[one["Key"].removeprefix(f"{prefix}/")] = hashlib.sha256(data).hexdigest()
        return found

    def uploads(self) -> int:
        return len(self.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", ()))


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


def run(*arguments: object, check: bool = True) -> float:
    begin = time.perf_counter()
    done = subprocess.run([*PROTECT, *map(str, arguments)], capture_output=True, text=True)
    if check and done.returncode:
        raise RuntimeError(f"{arguments}: exit code {done.returncode}: {done.stderr[-800:]}")
    return round(time.perf_counter() - begin, 1)


def comparable(hashes: dict[str, str]) -> dict[str, str]:
    """The files of shards: markers and logs hold times."""
    return {name: value for name, value in hashes.items()
            if not name.endswith((".done.json", "job.json")) and "/log" not in name}  # fmt: skip


def local_hashes(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def same(
    server: Server, source: str, protector: Path, reference: dict[str, str], workers: list[str], ray: bool
) -> dict[str, Any]:
    """Whether each way to spread the shards writes the reference's bytes, and how long it takes."""
    ways: dict[str, list[list[str]]] = {
        **{f"{count} processes": [["--workers", count]] for count in workers},
        "2 parts": [["--part", "0/2", "--workers", "1"], ["--part", "1/2", "--workers", "1"]],
    }
    if ray:
        ways["ray"] = [["--distributor", "ray"]]
    rows: dict[str, Any] = {}
    for number, (name, calls) in enumerate(ways.items()):
        seconds = [run("shards", source, f"s3://{BUCKET}/same{number}", "--protector", protector, *call, "-q")
                   for call in calls]  # fmt: skip
        rows[name] = {"seconds": seconds, "identical": comparable(server.hashes(f"same{number}")) == reference}
        print("same", name, rows[name], flush=True)
    return rows


def kills(server: Server, source: str, protector: Path, reference: dict[str, str], given: Any) -> dict[str, Any]:
    """A run that is killed `given.kills` times, drivers and workers, with faults of the server all the time."""
    chance, killed, starts = random.Random(7), {"driver": 0, "worker": 0}, 0
    server.faulty, server.slow, server.refused = 0.02, 0.02, 0
    out, begin = f"s3://{BUCKET}/kills", time.perf_counter()
    command = [
        *PROTECT,
        "shards",
        source,
        out,
        "--protector",
        str(protector),
        "--workers",
        "2",
        "--tries",
        "50",
        "-q",
    ]
    code = None
    while code != 0 and starts < 4 * given.kills + 10:
        starts += 1
        driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while driver.poll() is None:
            time.sleep(0.1)
            if sum(killed.values()) < given.kills and _workers_of(driver.pid):  # else it is still being started
                time.sleep(chance.uniform(0, given.pause))
                workers = _workers_of(driver.pid)
                if driver.poll() is not None or not workers:
                    continue
                victim = driver.pid if chance.random() < 0.4 else chance.choice(workers)
                killed["driver" if victim == driver.pid else "worker"] += 1
                _kill(victim)
        code = driver.returncode
    server.faulty = server.slow = 0.0
    written = server.hashes("kills")
    return {
        "killed": killed,
        "starts of the driver": starts,
        "requests answered with 503": server.refused,
        "exit code of the last": code,
        "identical": comparable(written) == reference,
        "markers": sum(name.endswith(".done.json") for name in written),
        "uploads left open": server.uploads(),
        "seconds": round(time.perf_counter() - begin, 1),
    }


def _workers_of(driver: int) -> list[int]:
    """Processes that protect shards: the fork server's children, whose command names it."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            grand = int(Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            continue
        if grand == driver:
            found.append(int(path.parent.name))
    return found


def _kill(process: int) -> None:
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return


def speed(source: Path, protector: Path, pairs: int, ray: bool) -> dict[str, Any]:
    """Pictures a second on the disk, from the first shard that ends to the last."""
    ways = {"1 process": ["--workers", "1"], "2 processes": ["--workers", "2"]}
    if ray:
        ways["ray"] = ["--distributor", "ray"]
    rows: dict[str, Any] = {}
    for name, call in ways.items():
        out = WORK / f"speed-{name.replace(' ', '-')}"
        shutil.rmtree(out, ignore_errors=True)
        whole = run("shards", source, out, "--protector", protector, *call, "-q")
        log = [json.loads(line) for line in (out / "_protect/log.jsonl").read_text().splitlines()]
        ends = sorted(line["end_time"] for line in log)
        first = max(1, len(ends) // 4)  # the first ones hold the imports of their processes
        rate = pairs * (len(ends) - first) / (ends[-1] - ends[first - 1])
        rows[name] = {"images_per_second": round(rate, 1), "seconds in all": whole}
        print("speed", name, rows[name], flush=True)
    one, two = (rows[name]["images_per_second"] for name in ("1 process", "2 processes"))
    rows["2 processes against 1"] = round(two / one, 3)
    if ray:
        rows["overhead of Ray against 2 processes"] = round(two / rows["ray"]["images_per_second"] - 1, 3)
    return rows


def memory(count: int, protector: Path, minutes: float) -> dict[str, Any]:
    """Resident memory of one worker over many small shards, by the file system's word on it."""
    source, out = make_shards(WORK / "small", count, 2, 48, seed=3), WORK / "small-out"
    shutil.rmtree(out, ignore_errors=True)
    command = [*PROTECT, "shards", str(source), str(out), "--protector", str(protector), "--workers", "1", "-q"]
    process, readings, begin = subprocess.Popen(command), list[tuple[float, float, int]](), time.perf_counter()
    while process.poll() is None and time.perf_counter() - begin < 60 * minutes:
        time.sleep(1)
        try:
            pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            break
        log = out / "_protect/log.jsonl"
        done = log.read_bytes().count(b"\n") if log.exists() else 0
        readings.append((time.perf_counter() - begin, pages * os.sysconf("SC_PAGE_SIZE") / 2**20, done))
    process.terminate()
    process.wait()
    if not readings or readings[-1][2] < 40:
        raise RuntimeError(f"memory: expected 40 shards or more in {minutes} minutes, found fewer; allow more time")
    working = [reading for reading in readings if reading[2] >= 20]  # after the imports
    few = max(1, len(working) // 20)
    return {
        "shards": readings[-1][2],
        "of": count,
        "seconds": round(readings[-1][0], 1),
        "first MB": round(float(np.median([mb for _, mb, _ in working[:few]])), 1),
        "last MB": round(float(np.median([mb for _, mb, _ in working[-few:]])), 1),
        "most MB": round(max(mb for _, mb, _ in readings), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, default=40)
    parser.add_argument("--pairs", type=int, default=500, help="of a shard (500)")
    parser.add_argument("--side", type=int, default=144, help="pixels of a picture's side (144)")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--pause", type=float, default=8, help="seconds before each of them, at most (8)")
    parser.add_argument("--small", type=int, default=10_000, help="small shards for the memory (10000)")
    parser.add_argument("--minutes", type=float, default=600, help="at most for these (600)")
    parser.add_argument("--workers", default="1,2,8", help="numbers of processes that are compared (1,2,8)")
    parser.add_argument("--parts", default="same,speed,kills,memory")
    parser.add_argument("--name", default="cluster", help="of the file of results (cluster)")
    parser.add_argument("--no-ray", action="store_true")
    given = parser.parse_args()
    server, result = Server(), dict[str, Any]()
    source = make_shards(WORK / "in", given.shards, given.pairs, given.side)
    protector = WORK / "protector"
    run("fit", source, "-o", protector, *METHOD, "-q")
    local = WORK / "local"
    shutil.rmtree(local, ignore_errors=True)
    run("shards", source, local, "--protector", protector, "--workers", "1", "-q")
    reference, remote = comparable(local_hashes(local)), server.put(source, "in")
    steps = {
        "same": lambda: same(server, remote, protector, reference, given.workers.split(","), not given.no_ray),
        "speed": lambda: speed(source, protector, given.pairs, not given.no_ray),
        "kills": lambda: kills(server, remote, protector, reference, given),
        "memory": lambda: memory(given.small, protector, given.minutes),
    }
    for name in given.parts.split(","):
        begin = time.perf_counter()
        result[name] = steps[name]()
        print(name, result[name], f"{time.perf_counter() - begin:.0f} s", flush=True)
        save(given.name, vars(given), result)


if __name__ == "__main__":
    main()
