"""How processes that work for this one are started."""

import multiprocessing
from typing import Any


def context(preload: str) -> Any:
    """Processes that share what the module `preload` has imported, where the system can do that."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    chosen = multiprocessing.get_context("forkserver")
    chosen.set_forkserver_preload([preload])
    return chosen
