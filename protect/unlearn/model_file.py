"""MODEL as a file of weights, or as an OUT of this command: which architecture, and the size it was trained at."""

import json
from collections.abc import Mapping
from math import isqrt
from pathlib import Path

from torch import Tensor

from protect.clip.models import TINY
from protect.clip.open_clip_import import open_clip
from protect.unlearn.checkpoint import WEIGHTS
from protect.unlearn.result import RESULT

SUFFIXES = (".pt", ".pth", ".bin", ".safetensors")


def named(model: str, weights: str | None, size: int | None) -> tuple[str, str | None, int | None]:
    """Model, weights and size as `load_model` takes them; names of models pass through.

    Raises ValueError for a file whose architecture cannot be told: one file may be of several open_clip models.
    """
    path = Path(model)
    if weights is None and (path / WEIGHTS).is_file() and (path / RESULT).is_file():
        made = json.loads((path / RESULT).read_text())
        return made["model"], model, size or made["settings"]["size"]
    if weights is None and path.is_file():
        name, found = recognised(path)
        return name, model, size or found
    if weights is None and path.suffix in SUFFIXES:
        raise ValueError(f"{model}: expected a file of weights, found none; check the path")
    return model, weights, size


def recognised(path: Path) -> tuple[str, int]:
    """The tiny model that a file holds, and the side of its pictures."""
    try:
        state: Mapping[str, Tensor] = open_clip().factory.load_state_dict(str(path))
    except Exception as error:  # any kind of file may be named here, and each fails in its own way
        raise ValueError(f"{path}: expected a file of weights (.pt, .safetensors), found something else") from error
    shapes = {name: tuple(value.shape) for name, value in state.items() if isinstance(value, Tensor)}
    places, stride, width = _places(shapes)
    for name, config in TINY.items():
        vision = config["vision_cfg"]
        own = vision.get("patch_size", 32), (vision["width"] * 32 if stride == 32 else vision["width"])
        if places and own == (stride, width) and shapes.get("text_projection") == (128, config["embed_dim"]):
            return name, stride * isqrt(places - 1)
    raise ValueError(
        f"{path}: expected the weights of {' or '.join(TINY)}, found others; name the architecture and give the file "
        f"with --weights: protect unlearn ViT-B-32 --weights {path}"
    )


def _places(shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, int, int]:
    """Positions of the image tower, the pixels that each stands for along a side, its width; (0, 0, 0): no CLIP."""
    if (resnet := shapes.get("visual.attnpool.positional_embedding")) is not None:
        return resnet[0], 32, resnet[1]
    if (vit := shapes.get("visual.positional_embedding")) is not None:
        return vit[0], 8, vit[1]
    return 0, 0, 0
