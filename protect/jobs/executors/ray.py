"""Shards on a Ray cluster: a task for each on CPUs, or actors that keep a surrogate on a GPU."""

import os
import statistics
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from protect.data.optional import missing
from protect.data.storage import Remote
from protect.files import PlanError
from protect.jobs.executors import Work, silent
from protect.jobs.executors.attempts import given_up, patiently, ticker
from protect.jobs.reference import ShardReference, ShardReport
from protect.methods.protector import Protector

STORE = 80 << 20  # bytes of a local Ray's object store: only the protector lies in it
AHEAD = 2  # shards submitted for each slot, so that none waits for the driver
WAIT = 5.0  # seconds until the size of the cluster is asked for again
FEW = 0.05  # share of the shards that is left when stragglers are looked for
SLOW = 3.0  # times the median that a straggler takes


def run(work: Work) -> Iterator[ShardReport]:
    """Reports as shards end. Workers read and write storage themselves: the driver sees names and reports alone."""
    places = [place for reference in work.references for place in (reference.source, reference.out)]
    if any(isinstance(place, Remote) and place.protocol == "memory" for place in places):
        raise PlanError("memory://: expected files that all workers reach, found the memory of one; use a path")
    with _connected(work):
        yield from _Driver(work).reports()


@contextmanager
def _connected(work: Work) -> Iterator[None]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError as error:
        raise missing("--distributor ray", "ray") from error
    if ray.is_initialized():  # by whoever calls this library
        yield
        return
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if work.how.address is None:
        ray.init(include_dashboard=False, object_store_memory=STORE, **quiet)
    else:
        try:
            ray.init(address=work.how.address, **quiet)
        except (ConnectionError, RuntimeError, ValueError) as error:
            found = " ".join(str(error).split())[:200]
            raise PlanError(
                f"--address: expected a Ray cluster at {work.how.address}, found none ({found}); start one with "
                "ray start --head, set RAY_AUTH_MODE=token if it asks for a token, or leave --address out"
            ) from error
    try:
        yield
    finally:
        ray.shutdown()


@dataclass
class _Try:
    reference: ShardReference
    number: int
    begin: float
    actor: int | None = None


class _Driver:
    """Keeps twice as many shards in flight as the cluster has room for, and every one until it has been reported."""

    def __init__(self, work: Work) -> None:
        import ray

        self.ray, self.work, how = ray, work, work.how
        cores = how.cpus_per_shard or 1
        self._waiting = deque((replace(reference, threads=cores), 1) for reference in work.references)
        self._total = len(self._waiting)
        self._flying: dict[Any, _Try] = {}
        self._over: set[str] = set()
        self._times: list[float] = []
        # In a list, so that a worker gets the bytes when it asks for them, once, and not with every shard.
        self._shared = [ray.put(_packed(work.protector))], replace(work, references=(), protector=None, tick=silent)
        self._cores = cores
        self._task = ray.remote(_protect).options(num_cpus=cores, max_retries=0)
        self._actors = self._start_actors() if how.gpus_per_worker else []

    def reports(self) -> Iterator[ShardReport]:
        """A report for every shard, as they end. Raises what must end the run."""
        while len(self._over) < self._total:
            self._submit()
            ready, _ = self.ray.wait(list(self._flying), num_returns=1, timeout=WAIT)
            for reference in ready:
                report = self._ended(self._flying.pop(reference), reference)
                if report is not None and report.name not in self._over:
                    self._over.add(report.name)
                    yield report
            self._submit_stragglers()

    def _start_actors(self) -> list[Any]:
        gpus = self.ray.cluster_resources().get("GPU", 0)
        share = self.work.how.gpus_per_worker or 1
        count = int(gpus // share)
        if not count:
            raise PlanError(
                f"--gpus-per-worker: expected {share:g} GPUs in the cluster, found {gpus:g}; add one or leave it out"
            )
        actor = self.ray.remote(Worker).options(
            num_gpus=share, num_cpus=self.work.how.cpus_per_shard or 0, max_restarts=-1, max_task_retries=0
        )
        return [actor.remote(*self._shared) for _ in range(count)]

    def _room(self) -> int:
        if self._actors:
            return AHEAD * len(self._actors)
        return AHEAD * max(1, int(self.ray.cluster_resources().get("CPU", 1) // self._cores))  # it may have grown

    def _submit(self) -> None:
        room = self._room()
        while self._waiting and len(self._flying) < room:
            reference, number = self._waiting.popleft()
            if reference.name not in self._over:
                self._send(reference, number)

    def _send(self, reference: ShardReference, number: int) -> None:
        actor = None
        if self._actors:
            loads = [sum(one.actor == index for one in self._flying.values()) for index in range(len(self._actors))]
            actor = loads.index(min(loads))
            result = self._actors[actor].protect.remote(reference)
        else:
            result = self._task.remote(*self._shared, reference)
        self._flying[result] = _Try(reference, number, time.monotonic(), actor)

    def _ended(self, attempt: _Try, result: Any) -> ShardReport | None:
        name, seconds = attempt.reference.name, time.monotonic() - attempt.begin
        try:
            answer = self.ray.get(result)
        except self.ray.exceptions.RayError as error:
            if name in self._over:
                return None
            if attempt.number < self.work.how.tries:
                self._waiting.append((attempt.reference, attempt.number + 1))
                return None
            limit = self.work.how.shard_timeout
            what = f"its worker died ({type(error).__name__})" + (f" or took longer than {limit}" if limit else "")
            return given_up(attempt.reference, self.work, attempt.number, what, seconds)
        if isinstance(answer, Exception):
            raise answer
        self._times.append(seconds)
        return answer

    def _submit_stragglers(self) -> None:
        """At the end, a shard that takes far too long is also given to another worker; the first marker wins.

        Only in object storage: on a disk the two would write the same file at once.
        """
        few = len(self._flying) <= max(1, FEW * self._total)
        if self._waiting or not self._times or not few:
            return
        patience = SLOW * max(statistics.median(self._times), 1.0)
        names = [attempt.reference.name for attempt in self._flying.values()]
        for attempt in list(self._flying.values()):
            remote = isinstance(attempt.reference.out, Remote)
            late = time.monotonic() - attempt.begin > patience
            if remote and late and names.count(attempt.reference.name) == 1:
                self._send(attempt.reference, self.work.how.tries)


class Worker:
    """An actor that keeps its protector, and with it the surrogate on its GPU, from shard to shard."""

    def __init__(self, packed: list[Any], work: Work) -> None:
        self.packed, self.work = packed, work
        _unpacked(packed)

    def protect(self, reference: ShardReference) -> ShardReport | Exception:
        return _protect(self.packed, self.work, reference)


def _protect(packed: list[Any], work: Work, reference: ShardReference) -> ShardReport | Exception:
    """In a worker. What must end the run is returned: a raised one would be taken for a fault of the cluster."""
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    with threadpool_limits(limits=1, user_api="blas"), _limited(work.how.seconds):
        try:
            work = replace(work, protector=_unpacked(packed))
            return patiently(reference, work, ticker(reference.name, work.tick))
        except Exception as error:
            return error


@contextmanager
def _limited(seconds: float | None) -> Iterator[None]:
    """Ends this process where the block takes longer: nothing else stops a decoder that hangs."""
    if seconds is None:
        yield
        return
    timer = threading.Timer(seconds, os._exit, (1,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _packed(protector: Protector) -> tuple[str, dict[str, bytes]]:
    """Device and files of a protector, which workers on other machines cannot read where it lies."""
    with tempfile.TemporaryDirectory(prefix="protect-") as folder:
        replace(protector).save(Path(folder) / "protector")
        files = {path.name: path.read_bytes() for path in (Path(folder) / "protector").iterdir()}
    return protector.device, files


_kept: dict[str, Protector] = {}  # of a worker's process: the one that it has used last


def _unpacked(packed: list[Any]) -> Protector:
    import ray

    reference = packed[0]
    if reference.hex() not in _kept:
        device, files = ray.get(reference)
        folder = Path(tempfile.mkdtemp(prefix="protect-"))  # its noise is read from there as long as the worker lives
        for name, data in files.items():
            (folder / name).write_bytes(data)
        _kept.clear()
        _kept[reference.hex()] = Protector.load(folder, device)
    return _kept[reference.hex()]
