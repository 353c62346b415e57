"""Pictures moved by a few pixels: they show the same, but not to a model that knows them pixel by pixel."""

import torch
import torch.nn.functional as F
from jaxtyping import Int
from torch import Tensor

from protect.types import Images

SHARE = 16  # a picture moves by one in so many of its pixels, at most


def most(images: Images) -> int:
    """The largest move in pixels."""
    return max(1, images.shape[-1] // SHARE)


def shifted(images: Images, moves: Int[Tensor, "batch 2"]) -> Images:
    """Each picture moved down and right by its own numbers of pixels, -most to most; what is missing is mirrored."""
    far = most(images)
    height, width = images.shape[-2:]
    wide = F.pad(images, (far, far, far, far), mode="reflect")
    corners = (far - moves).tolist()
    parts = [one[:, y : y + height, x : x + width] for one, (y, x) in zip(wide, corners, strict=True)]
    return torch.stack(parts)


def at_random(images: Images, random: torch.Generator) -> Images:
    """Each picture moved at random."""
    far = most(images)
    return shifted(images, torch.randint(-far, far + 1, (len(images), 2), generator=random))
