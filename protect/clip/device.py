"""Which device and which precision to compute in: bf16 where the hardware is faster in it."""

import time

import torch


def choose_device(name: str) -> torch.device:
    """The device for a `--device` value; raises ValueError when this machine does not have it."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device: expected auto, cpu, cuda, cuda:N or mps on this machine, got {name!r}") from error
    return device


def autocast_type(device: torch.device) -> torch.dtype | None:
    """bf16 where a matrix product is at least 1.5 times faster in it than in fp32, else None; half a second."""
    if device not in _settled:
        _settled[device] = _fast_type(device)
    return _settled[device]


def settle_type(device: torch.device, kind: torch.dtype | None) -> None:
    """Decides `autocast_type` for this process: workers compute as their parent does, however busy they find it."""
    _settled[device] = kind


_settled: dict[torch.device, torch.dtype | None] = {}


def _fast_type(device: torch.device) -> torch.dtype | None:
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
