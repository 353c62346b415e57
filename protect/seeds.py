"""One seed for everything: independent generators derived from it by name."""

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def derive(seed: int, *names: object) -> int:
    """A seed for one purpose, the same on every machine and Python version."""
    text = "\x1f".join(map(str, (seed, *names)))
    return int.from_bytes(hashlib.sha256(text.encode(errors="surrogatepass")).digest()[:8], "big") >> 1


def generator(seed: int, *names: object) -> "torch.Generator":
    """A CPU generator of its own for one purpose."""
    import torch

    return torch.Generator().manual_seed(derive(seed, *names))
