"""A run over all files of a folder, on all cores: bytes, records and their order are those of one core."""

import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from threadpoolctl import threadpool_limits

from protect.clip.device import cores
from protect.data.photo_folder import Entry, walk
from protect.jobs.children import context
from protect.jobs.photos.job import Names, PhotoJob, Report, finish, make_entry, note, resume
from protect.jobs.photos.records import PhotoRecord

ALONE = 1.0  # seconds of work before other processes are started: they need about as long themselves
AHEAD = 2  # files that each process is given in advance


class Todo(NamedTuple):
    """A file, its record from an earlier run, and its record where it is known without work."""

    entry: Entry
    before: PhotoRecord | None
    known: PhotoRecord | None = None


def protect_photos(
    job: PhotoJob, report: Report = lambda record, fresh: None, jobs: int | None = 1
) -> dict[str, PhotoRecord]:
    """Runs the job with so many processes (None: one a core); returns the record of every file, by name.

    A file that could not be protected is not written, and its record says why.
    """
    before, names = resume(job), Names(job)
    records: dict[str, PhotoRecord] = {}

    def files() -> Iterator[Todo]:
        for entry in walk(job.source, avoid=job.out.resolve()):
            yield Todo(entry, before.get(entry.name), names.refusal(entry))

    def done(todo: Todo, record: PhotoRecord) -> None:
        records[todo.entry.name] = record
        report(record, record is not todo.before)

    try:
        protect_each(job, files(), done, jobs)
    finally:
        finish(job, before | records)
    return records


def protect_each(
    job: PhotoJob, files: Iterable[Todo], done: Callable[[Todo, PhotoRecord], None], jobs: int | None = 1
) -> None:
    """Protects files and calls `done` for each, in their order, once its record is on the disk.

    This process works too; others are started once ALONE seconds have shown that there is much to do. When it is
    interrupted the others end the photo that they are at, so that nothing finished is lost.
    """
    waiting: deque[Task] = deque()
    others = Others(job, (jobs or cores()) - 1)
    try:
        with one_thread():
            for todo in files:
                future = others.take(todo)
                waiting.append(Task(todo, future or _made_here(job, todo)))
                while waiting and (waiting[0].future.done() or len(waiting) > others.most):
                    waiting.popleft().finish(job, done)
            while waiting:
                waiting.popleft().finish(job, done)
    except BaseException:
        others.close()
        for task in waiting:
            if task.future.done() and not task.future.cancelled() and task.future.exception() is None:
                task.finish(job, done)
        raise
    finally:
        others.close()


@dataclass(frozen=True)
class Task:
    """A file that is being protected, or was."""

    todo: Todo
    future: "Future[PhotoRecord | None]"

    def finish(self, job: PhotoJob, done: Callable[[Todo, PhotoRecord], None]) -> None:
        """Waits for the record and puts it on the disk. Raises MemoryError where a process was killed."""
        try:
            record = self.future.result()
        except BrokenProcessPool:
            raise MemoryError(
                "a worker process was killed, expected memory enough for all of them; lower --jobs"
            ) from None
        before = self.todo.before
        if record is None or (record == before and record.status != "protected"):  # nothing new is told
            assert before is not None, "what is as before was there before"
            record = before
        note(job, record, before)
        done(self.todo, record)


class Others:
    """The other processes; none are started before they are worth it."""

    def __init__(self, job: PhotoJob, count: int) -> None:
        self.count, self.most = count, 2 * AHEAD * (count + 1)
        self._job = replace(job, protector=replace(job.protector))  # as it was before it was used: it can be sent
        self._begin = time.perf_counter()
        self._pool: ProcessPoolExecutor | None = None
        self._given: list[Future[PhotoRecord | None]] = []

    def take(self, todo: Todo) -> "Future[PhotoRecord | None] | None":
        """Gives a photo to another process; None where all have enough to do, or there is nothing to do."""
        if not self.count or todo.known or todo.entry.kind != "photo":
            return None
        if self._pool is None:
            if time.perf_counter() - self._begin < ALONE:
                return None
            self._pool = ProcessPoolExecutor(self.count, context(__name__), _start, (self._job,))
        self._given = [future for future in self._given if not future.done()]
        if len(self._given) >= AHEAD * self.count:
            return None
        self._given.append(self._pool.submit(_made_there, todo))
        return self._given[-1]

    def close(self) -> None:
        """Waits for the photos that are being protected; those that were not begun are left."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for each process: photos are spread over the cores already, and sums never depend on threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(limits=1, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(before)


def _made(job: PhotoJob, todo: Todo) -> PhotoRecord | None:
    """The record of a file; None where that of an earlier run still holds."""
    record = todo.known or make_entry(job, todo.entry, todo.before)
    return None if record is todo.before else record


def _made_here(job: PhotoJob, todo: Todo) -> "Future[PhotoRecord | None]":
    future: Future[PhotoRecord | None] = Future()
    future.set_result(_made(job, todo))
    return future


_job: PhotoJob  # of another process; set when it starts


def _start(job: PhotoJob) -> None:
    global _job
    _job = job
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process ends the others
    torch.set_num_threads(1)
    threadpool_limits(limits=1, user_api="blas")


def _made_there(todo: Todo) -> PhotoRecord | None:
    return _made(_job, todo)
