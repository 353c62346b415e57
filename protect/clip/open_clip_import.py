"""Imports open_clip where torchvision was built for another torch (a CPU torch beside a CUDA torchvision)."""

from functools import cache
from threading import Lock
from types import ModuleType

import torch

DETECTION_OPERATORS = (
    "nms",
    "qnms",
)  # torchvision describes these at import even when its binary did not load


_importing = Lock()
_declared: list[torch.library.Library] = []


def open_clip() -> ModuleType:
    """The open_clip module, from any thread."""
    with _importing:
        return _import()


@cache
def _import() -> ModuleType:
    """A torchvision made for CUDA cannot load its binary beside a CPU torch and then fails to import; its
    transforms need none of it. Declaring the two missing operators (never called here) lets the import pass.
    """
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in DETECTION_OPERATORS:
            if not hasattr(torch.ops.torchvision, name):
                library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _declared.append(library)  # a declaration lives as long as its library object
    import open_clip as module

    return module
