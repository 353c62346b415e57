"""The similarity matrix of some images and captions as a picture: what an owner can see of a model from outside."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image

from protect.unlearn.head import Clip
from protect.unlearn.judge import Embedded

SHOWN = 48  # pairs in the picture, from all over
CELL = 8  # pixels


@torch.inference_mode()
def shown_matrix(model: Clip, points: Embedded) -> Float[torch.Tensor, "shown shown"]:
    """Similarities of some images (rows) and their captions (columns)."""
    count = len(points.images)
    rows = [i * count // min(SHOWN, count) for i in range(min(SHOWN, count))]
    return model.similarity(points.images[rows], points.first[rows])


def draw(matrices: Sequence[Float[torch.Tensor, "rows columns"]], around_zero: bool = False) -> Image.Image:
    """Matrices side by side on one scale: dark blue lowest, white the middle, red highest.

    around_zero: the middle is 0, so that blue is a fall and red a rise.
    """
    low, high = min(m.min().item() for m in matrices), max(m.max().item() for m in matrices)
    if around_zero:
        low, high = min(low, -high), max(high, -low)
    panels = []
    for matrix in matrices:
        value = ((matrix.cpu() - low) / max(high - low, 1e-9)).numpy()
        red, blue = np.clip(2 * value, 0, 1), np.clip(2 - 2 * value, 0, 1)
        colour = np.stack([red, np.minimum(red, blue), blue], axis=2)
        panels.append(np.kron(colour, np.ones((CELL, CELL, 1))))
    gap = np.ones((panels[0].shape[0], 2 * CELL, 3))
    rows = [part for panel in panels for part in (gap, panel)][1:]
    return Image.fromarray((255 * np.concatenate(rows, axis=1)).round().astype(np.uint8))
