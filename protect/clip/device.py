"""Where models run, and in which number format: by capability on CUDA, by a probe on a CPU."""

import os
import time

import torch


def choose_device(name: str) -> torch.device:
    """The device for a `--device` value; raises ValueError when this machine does not have it.

    Under torchrun, auto and cuda are the GPU of this process's LOCAL_RANK.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if name == "cuda" and "LOCAL_RANK" in os.environ:
        name = f"cuda:{os.environ['LOCAL_RANK']}"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device: expected auto, cpu, cuda, cuda:N or mps on this machine, got {name!r}") from error
    return device


def autocast_type(device: torch.device) -> torch.dtype | None:
    """bf16 where this device computes it fast, else None (fp32).

    A CUDA device is asked; a CPU is timed for half a second: bf16 has to be at least 1.5 times faster than fp32.
    """
    if device not in _settled:
        _settled[device] = _fast_type(device)
    return _settled[device]


def use_precision(device: torch.device, precision: str) -> None:
    """Decides `autocast_type` for this process by a `--precision` value; auto leaves it as it is."""
    if precision != "auto":
        settle_type(device, torch.bfloat16 if precision == "bf16" else None)


def settle_type(device: torch.device, kind: torch.dtype | None) -> None:
    """Decides `autocast_type` for this process: workers compute as their parent does, however busy they find it."""
    _settled[device] = kind


_settled: dict[torch.device, torch.dtype | None] = {}


def _fast_type(device: torch.device) -> torch.dtype | None:
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else None
    full = _product_seconds(torch.float32, device)
    return torch.bfloat16 if _product_seconds(torch.bfloat16, device, 4 * full) * 1.5 < full else None


def _product_seconds(kind: torch.dtype, device: torch.device, enough: float = 1.0) -> float:
    """Best time of some matrix products; the first warms up, and where the second takes over `enough` it is the last.

    512 numbers square: at 256 the start of each product hides what the arithmetic costs.
    """
    a = torch.ones(512, 512, dtype=kind, device=device)
    best = float("inf")
    for number in range(6):
        begin = time.perf_counter()
        (a @ a).sum().item()
        best = min(best, time.perf_counter() - begin)
        if number and best > enough:
            break
    return best


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
