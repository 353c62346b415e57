"""A pool of processes that loses nothing: one that dies or takes too long costs its own shard one try, no other's."""

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from typing import Any

from protect.data.storage import Remote
from protect.jobs.ahead import Ahead
from protect.jobs.children import context
from protect.jobs.executors import Work, silent
from protect.jobs.executors.attempts import given_up, patiently, ticker
from protect.jobs.reference import ShardReference, ShardReport


class Processes:
    """So many processes, each with one shard at a time."""

    def __init__(self, count: int, work: Work) -> None:
        self.work = replace(work, protector=replace(work.protector), references=())  # as it was before it was used
        self._waiting = deque(_Try(reference) for reference in work.references)
        self._count = min(count, max(1, len(self._waiting)))
        self._workers: list[_Worker] = []

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self._workers:
            worker.stop(gently=True)

    def reports(self) -> Iterator[ShardReport]:
        """A report for every shard, as they end. Raises what must end the run."""
        while self._waiting or any(worker.task for worker in self._workers):
            self._give()
            for worker in self._ready():
                report = self._heard(worker)
                if report is not None:
                    yield report
            yield from self._overdue()

    def _give(self) -> None:
        for worker in self._workers:
            if not worker.task and (task := self._next(worker)):
                worker.give(task, self._kept_for(worker))
        while self._waiting and len(self._workers) < self._count:
            worker = _Worker.start(self.work)
            self._workers.append(worker)
            worker.give(self._waiting.popleft(), self._kept_for(worker))

    def _next(self, worker: "_Worker") -> "_Try | None":
        """What is kept for this worker, or waits; at the end, what is kept for another one that is still at work."""
        if not worker.following and self._waiting:
            return self._waiting.popleft()
        keeper = next((one for one in (worker, *self._workers) if one.following), worker)
        task, keeper.following = keeper.following, None
        return task

    def _kept_for(self, worker: "_Worker") -> ShardReference | None:
        """A shard that this worker gets next and may fetch meanwhile, if shards have to be fetched."""
        if self._waiting and isinstance(self._waiting[0].reference.source, Remote):
            worker.following = self._waiting.popleft()
        return worker.following.reference if worker.following else None

    def _ready(self) -> list["_Worker"]:
        """Workers that have something to say, or have died."""
        busy = [worker for worker in self._workers if worker.task]
        spoken = wait([worker.pipe for worker in busy], timeout=self._patience(busy))
        return [worker for worker in busy if worker.pipe in spoken]

    def _patience(self, busy: list["_Worker"]) -> float | None:
        limit = self.work.how.seconds
        if limit is None or not busy:
            return None
        return max(0.0, min(worker.begin for worker in busy) + limit - time.monotonic())

    def _heard(self, worker: "_Worker") -> ShardReport | None:
        try:
            kind, value = worker.pipe.recv()
        except (EOFError, OSError):
            worker.process.join()
            code = worker.process.exitcode or 0
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            cure = "; give it more memory or fewer --workers" if code == -signal.SIGKILL else ""
            return self._lost(worker, f"its process {how}{cure}")
        if kind == "pictures":
            self.work.tick(*value)
            return None
        worker.task = None
        if kind == "raised":
            raise value
        return value

    def _overdue(self) -> Iterator[ShardReport]:
        limit = self.work.how.seconds
        for worker in list(self._workers):
            if limit is not None and worker.task and time.monotonic() - worker.begin > limit:
                worker.stop(gently=False)
                report = self._lost(worker, f"it took longer than {self.work.how.shard_timeout}")
                if report is not None:
                    yield report

    def _lost(self, worker: "_Worker", reason: str) -> ShardReport | None:
        """Its shard is tried again by another process, or has failed."""
        self._workers.remove(worker)
        self._waiting.extendleft([worker.following] if worker.following else [])
        attempt, seconds = worker.task, time.monotonic() - worker.begin
        assert attempt is not None, "only busy workers are waited for"
        if attempt.number < self.work.how.tries:
            self._waiting.append(_Try(attempt.reference, attempt.number + 1))
            return None
        return given_up(attempt.reference, self.work, attempt.number, reason, seconds)


@dataclass
class _Try:
    reference: ShardReference
    number: int = 1


@dataclass(eq=False)
class _Worker:
    """A process, the pipe to it, the shard that it has been given, and the one that is kept for it."""

    process: Any
    pipe: Connection
    task: _Try | None = None
    following: _Try | None = None
    begin: float = field(default_factory=time.monotonic)

    @classmethod
    def start(cls, work: Work) -> "_Worker":
        system = context(__name__)
        ours, theirs = system.Pipe()
        process = system.Process(
            target=_serve, args=(theirs, replace(work, tick=silent), dict(os.environ)), daemon=True
        )
        process.start()
        theirs.close()
        return cls(process, ours)

    def give(self, task: _Try, following: ShardReference | None = None) -> None:
        self.task, self.begin = task, time.monotonic()
        with suppress(OSError):  # where it has died: that is noticed where it is waited for
            self.pipe.send((task.reference, following))

    def stop(self, gently: bool) -> None:
        """gently: it removes what it has half written; else it is killed, for it may hang."""
        self.process.terminate() if gently else self.process.kill()
        self.process.join(10)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.pipe.close()


def _serve(pipe: Connection, work: Work, environment: Mapping[str, str]) -> None:
    """In a process of its own: protects the shards that it is sent, until there are no more or its parent is gone.

    environment: that of the parent now; the server that forks may have been started with another (credentials).
    """
    os.environ.update(environment)
    import torch
    from threadpoolctl import threadpool_limits

    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process ends the others
    signal.signal(signal.SIGTERM, _stop)
    torch.set_num_threads(1)
    with threadpool_limits(limits=1, user_api="blas"), closing(Ahead()) as ahead:
        while True:
            try:
                reference, following = pipe.recv()
            except EOFError:
                return
            ahead.expect(reference, following)
            tick = ticker(reference.name, lambda name, pictures: pipe.send(("pictures", (name, pictures))))
            try:
                pipe.send(("report", patiently(reference, work, tick, ahead)))
            except Exception as error:
                pipe.send(("raised", error))


def _stop(*signal: object) -> None:
    """Asked to end: as an exception, so that half-written files are removed."""
    raise SystemExit(0)


def _end_with_parent() -> None:
    """Ends this process with the one that started it, however that ended: a new run may be at the same shard."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
