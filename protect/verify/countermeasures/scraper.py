"""What a scraper does to a picture before it stores it."""

import io
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from protect.verify.countermeasures.base import Countermeasure, Kind, Regime

STORED = 256  # pixels on the shorter side, img2dataset's image_size
QUALITY = 95  # img2dataset's encode_quality


def stored(picture: Image.Image) -> Image.Image:
    """The picture at the size it is stored in: shorter side at most 256, by area means as img2dataset has them."""
    short = min(picture.size)
    if short <= STORED:
        return picture
    width, height = (round(side * STORED / short) for side in picture.size)
    rows = _means(np.asarray(picture).astype(np.uint32), height)
    columns = _means(rows.transpose(1, 0, 2), width).transpose(1, 0, 2)
    return Image.fromarray(np.ascontiguousarray(columns.round().astype(np.uint8)))


def _means(values: np.ndarray, length: int) -> np.ndarray:
    """Means over `length` equal stretches of the first axis, pixels at their borders counted in part."""
    count = len(values)
    edges = np.linspace(0, count, length + 1)
    below = np.minimum(edges.astype(int), count - 1)
    kind = np.uint32 if values.dtype.kind == "u" else np.float64  # a side of pixels adds up to less than 2 ** 32
    totals = np.concatenate([np.zeros((1, *values.shape[1:]), kind), values.cumsum(axis=0, dtype=kind)])
    part = (edges - below).reshape(-1, *[1] * (values.ndim - 1))
    sums = totals[below] + part * values[below]
    return np.diff(sums, axis=0) * (length / count)


def written(picture: Image.Image, kind: str, **options: Any) -> Image.Image:
    """The picture as it is read again from a file of a lossy kind."""
    file = io.BytesIO()
    picture.save(file, kind, **options)
    with Image.open(file) as read:
        return read.convert("RGB")


def recoded(picture: Image.Image, kind: str, **options: Any) -> Image.Image:
    """The picture at its stored size, as it is read again from a file of a lossy kind."""
    return written(stored(picture), kind, **options)


ROWS = (
    Countermeasure(
        "scraper-chain",
        Kind.SCRAPER,
        "shorter side shrunk to 256, JPEG 95 with 4:2:0 chroma, open_clip's training crops",
        "stores the pictures as scrapers do",
        picture=partial(recoded, kind="JPEG", quality=QUALITY),
        regime=Regime(view="openclip"),
    ),
)
