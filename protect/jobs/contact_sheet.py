"""A picture of what was done: clean, protected, their difference, and both captions, for a few samples."""

import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from protect.data.images import decode

TILE, MARGIN, GAIN = 224, 12, 16


@dataclass(frozen=True)
class Pair:
    """One sample before and after: file bytes and a caption each."""

    key: str
    clean: bytes
    protected: bytes
    clean_caption: str
    protected_caption: str


def contact_sheet(pairs: Sequence[Pair]) -> Image.Image:
    """One row a sample: clean, protected, difference times 16 around grey, then the captions."""
    font, text_width = ImageFont.load_default(size=14), 420
    width = 3 * (TILE + MARGIN) + text_width + 2 * MARGIN
    sheet = Image.new("RGB", (width, 40 + len(pairs) * (TILE + MARGIN)), "white")
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(("clean", "protected", f"difference x{GAIN}", "captions")):
        draw.text((MARGIN + column * (TILE + MARGIN), 10), title, fill="black", font=font)
    for row, pair in enumerate(pairs):
        top = 36 + row * (TILE + MARGIN)
        clean, protected = _rgb(pair.clean), _rgb(pair.protected)
        change = np.asarray(protected, np.int16) - np.asarray(clean, np.int16)
        difference = Image.fromarray(np.clip(128 + GAIN * change, 0, 255).astype(np.uint8))
        for column, image in enumerate((clean, protected, difference)):
            sheet.paste(_fit(image), (MARGIN + column * (TILE + MARGIN), top))
        left = MARGIN + 3 * (TILE + MARGIN)
        text = [pair.key, "", *_wrap(pair.clean_caption), "", *_wrap(pair.protected_caption)]
        draw.multiline_text((left, top), "\n".join(text[:13]), fill="black", font=font, spacing=3)
    return sheet


def _rgb(data: bytes) -> Image.Image:
    return Image.fromarray(decode(data, sys.maxsize).color)


def _fit(image: Image.Image) -> Image.Image:
    """Small pictures enlarged pixel by pixel, large ones reduced, so that both fill a tile."""
    factor = TILE / max(image.size)
    how = Image.Resampling.NEAREST if factor > 1 else Image.Resampling.LANCZOS
    return image.resize((max(1, round(image.width * factor)), max(1, round(image.height * factor))), how)


def _wrap(text: str) -> list[str]:
    return textwrap.wrap(text, 56, max_lines=5) or [""]
