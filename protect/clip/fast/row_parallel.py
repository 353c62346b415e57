"""Parts of a batch at the same time, each on a thread of its own, where rows do not see each other.

Torch spreads every single operation over its threads and waits for the slowest; parts wait for each other once.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from threading import Barrier
from typing import Any, TypeVar

import torch
from torch import Tensor

Item = TypeVar("Item")
Found = TypeVar("Found")


def by_rows(work: Callable[..., Tensor], x: Tensor, *beside: Tensor, parts: int) -> Tensor:
    """`work(x, *beside)`, for work whose rows do not see each other and whose gradient reaches x alone."""
    parts = min(parts, len(x))
    if parts < 2:
        return work(x, *beside)
    if torch.is_grad_enabled() and x.requires_grad:
        return _ByRows.apply(x, work, beside, parts)
    return torch.cat(run_parallel(lambda part: work(*part), _cut(parts, x, *beside), x.device))


class _ByRows(torch.autograd.Function):
    """Every part has a graph of its own, so that its thread can go back through it."""

    @staticmethod
    def forward(ctx, x: Tensor, work: Callable[..., Tensor], beside: tuple, parts: int) -> Tensor:  # type: ignore[override]
        def ahead(part: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
            with torch.enable_grad():
                own = part[0].detach().requires_grad_()
                return own, work(own, *part[1:])

        ctx.graphs = run_parallel(ahead, _cut(parts, x, *beside), x.device)
        return torch.cat([found.detach() for _, found in ctx.graphs])

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None, None]:  # type: ignore[override]
        def back(part: tuple[Tensor, Tensor, Tensor]) -> Tensor:
            own, output, share = part
            return torch.autograd.grad(output, own, share)[0]

        shares = gradient.split([len(own) for own, _ in ctx.graphs])
        parts = [(*graph, share) for graph, share in zip(ctx.graphs, shares, strict=True)]
        return torch.cat(run_parallel(back, parts, gradient.device)), None, None, None


def run_parallel(work: Callable[[Item], Found], items: Sequence[Item], device: torch.device) -> list[Found]:
    """What `work` makes of each item, in their order; on a processor, several at a time."""
    threads = torch.get_num_threads()
    workers = min(threads, len(items)) if device.type == "cpu" else 1
    if workers < 2:
        return [work(item) for item in items]
    return list(_pool(workers, threads // workers).map(_as_here(work), items))


def parts_for(amount: int, least: int, most: int, device: torch.device) -> int:
    """How many parts so much work is cut into: none above `most`, equally many a thread, `least` for each thread."""
    threads = max(1, min(torch.get_num_threads(), amount // least)) if device.type == "cpu" else 1
    return threads * -(-amount // (threads * most))


def _cut(parts: int, *tensors: Tensor) -> list[tuple[Tensor, ...]]:
    return list(zip(*(tensor.tensor_split(parts) for tensor in tensors), strict=True))


def _as_here(work: Callable[[Any], Found]) -> Callable[[Any], Found]:
    """The work under this thread's gradient mode and autocast: every thread has its own."""
    gradients, fast = torch.is_grad_enabled(), torch.is_autocast_enabled("cpu")
    kind = torch.get_autocast_dtype("cpu")

    def run(item: Any) -> Found:
        with torch.set_grad_enabled(gradients), torch.autocast("cpu", dtype=kind, enabled=fast):
            return work(item)

    return run


@lru_cache
def _pool(workers: int, each: int) -> ThreadPoolExecutor:
    """Workers whose operations use `each` threads."""
    here, all_there = torch.get_num_threads(), Barrier(workers)

    def begin() -> None:
        torch.get_num_threads()  # a thread's first use of torch gives it the usual number
        torch.set_num_threads(each)

    pool = ThreadPoolExecutor(workers, "run_parallel", begin)
    list(pool.map(lambda _: all_there.wait(), range(workers)))
    torch.set_num_threads(here)  # what was set holds for its thread, and for all that are still to come
    return pool
