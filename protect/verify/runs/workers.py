"""Work in several processes of one thread each, or in this one; results do not depend on how many."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Collection
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.queues import Queue
from queue import Empty
from typing import Any

import torch

from protect.clip.device import autocast_type, settle_type

LISTEN = 0.2  # seconds between looks at what workers say

Say = Callable[[str], None]
_say: Say = print  # of a worker process; set when it starts


class Workers:
    """Calls functions as function(say, *arguments); what they say is passed on by `wait`, in this process.

    With one job everything runs here, at once. Workers end with the process that started them.
    """

    def __init__(self, jobs: int, device: torch.device, progress: Say) -> None:
        self.jobs, self.progress = jobs, progress
        self._pool: ProcessPoolExecutor | None = None
        if jobs > 1:
            context = multiprocessing.get_context("spawn")  # torch does not survive a fork
            self._said: Queue[str] = context.Queue()
            start = (self._said, device, autocast_type(device))
            self._pool = ProcessPoolExecutor(jobs, context, _start, start)

    def __enter__(self) -> "Workers":
        self._threads = torch.get_num_threads()
        torch.set_num_threads(1)
        self._others = set(multiprocessing.active_children())
        return self

    def __exit__(self, *error: object) -> None:
        torch.set_num_threads(self._threads)
        if self._pool is not None:
            if error[0] is not None:
                for process in set(multiprocessing.active_children()) - self._others:
                    process.terminate()
            self._pool.shutdown(cancel_futures=True)
            self._listen()

    def submit(self, function: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        """Starts a call; its arguments and result must go through pickle."""
        if self._pool is not None:
            return self._pool.submit(_call, function, *arguments)
        future: Future[Any] = Future()
        try:
            future.set_result(function(self.progress, *arguments))
        except ValueError as error:
            future.set_exception(error)
        return future

    def wait(self, futures: Collection["Future[Any]"]) -> "set[Future[Any]]":
        """Some of the calls that are done; raises MemoryError when a worker was killed."""
        while True:
            done, _ = wait(futures, LISTEN, FIRST_COMPLETED)
            self._listen()
            if any(isinstance(future.exception(), BrokenProcessPool) for future in done):
                raise MemoryError("a worker process was killed, expected memory enough for all of them; lower jobs")
            if done:
                return done

    def _listen(self) -> None:
        while self._pool is not None:
            try:
                self.progress(self._said.get_nowait())
            except Empty:
                return


def _start(said: "Queue[str]", device: torch.device, kind: torch.dtype | None) -> None:
    global _say
    _say = said.put
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers
    torch.set_num_threads(1)
    settle_type(device, kind)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(_say, *arguments)
