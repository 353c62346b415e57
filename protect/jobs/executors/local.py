"""Shards on this machine: one after another in this process, or side by side in a pool of others."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import zip_longest

from threadpoolctl import threadpool_limits

from protect.clip.device import cores
from protect.data.storage import Remote, size_of
from protect.jobs.ahead import Ahead
from protect.jobs.executors import Work
from protect.jobs.executors.attempts import patiently, ticker
from protect.jobs.reference import ShardReport

ENOUGH = 64 << 20  # bytes of shards a process: it takes seconds to start, as long as these take to protect


def run(work: Work) -> Iterator[ShardReport]:
    """Reports as shards end. One process where there is little to do, or the method's network needs all cores."""
    count = _workers(work)
    if count == 1 and work.how.seconds is None:
        yield from _here(work)
        return
    from protect.jobs.executors.processes import Processes

    threads = work.how.cpus_per_shard or max(1, cores() // count)
    references = [replace(reference, threads=threads) for reference in work.references]
    with Processes(count, replace(work, references=references)) as processes:
        yield from processes.reports()


def _workers(work: Work) -> int:
    references = work.references
    if any(isinstance(r.source, Remote) and r.source.protocol == "memory" for r in references):
        return 1  # what lies in the memory of this process is nowhere else
    if any(isinstance(r.out, Remote) and r.out.protocol == "memory" for r in references[:1]):
        return 1
    most = max(1, len(references))
    if work.how.workers:
        return min(work.how.workers, most)
    if work.protector.method.needs_surrogate:
        return 1
    room = sum(size_of(reference.source) for reference in references) // ENOUGH
    return max(1, min(cores() // (work.how.cpus_per_shard or 1), room, most))


def _here(work: Work) -> Iterator[ShardReport]:
    ahead, threads = Ahead(), work.how.cpus_per_shard or work.threads
    with threadpool_limits(limits=1, user_api="blas"), closing(ahead):  # pictures are spread over the cores already
        for reference, following in zip_longest(work.references, work.references[1:]):
            ahead.expect(reference, following)
            yield patiently(replace(reference, threads=threads), work, ticker(reference.name, work.tick), ahead)
