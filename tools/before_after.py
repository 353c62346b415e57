"""Make docs/images/before-after.jpg: a sample photo as `protect photos` writes it.

    python tools/before_after.py

It shows the photo, the same photo as published, and their difference times 16 around grey, at full size; below
stand the captions before and after.
"""

import csv
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "samples" / "photos"
PICTURE = ROOT / "docs" / "images" / "before-after.jpg"
SHOWN = ("coffee.jpg",)
GAP, LINE, GAIN = 10, 24, 16
TITLES = ("original", "published", f"difference x{GAIN}")


def captions(folder: Path) -> dict[str, str]:
    """Captions by file name, from a folder's captions.csv."""
    with (folder / "captions.csv").open(encoding="utf-8", newline="") as file:
        return {row["file"]: row["caption"] for row in csv.DictReader(file)}


def row(name: str, published: Path, font: ImageFont.FreeTypeFont) -> Image.Image:
    """One photo before and after, with its captions."""
    before, after = (
        np.asarray(Image.open(folder / name).convert("RGB"), np.int16) for folder in (SAMPLES, published)
    )
    difference = np.clip(128 + GAIN * (after - before), 0, 255)
    height, width = before.shape[:2]
    picture = Image.new("RGB", (3 * width + 2 * GAP, LINE + height + 2 * LINE + GAP), "white")
    pen = ImageDraw.Draw(picture)
    for column, (title, pixels) in enumerate(zip(TITLES, (before, after, difference), strict=True)):
        left = column * (width + GAP)
        pen.text((left, 3), title, "black", font)
        picture.paste(Image.fromarray(pixels.astype(np.uint8)), (left, LINE))
    for line, (title, folder) in enumerate(zip(TITLES, (SAMPLES, published), strict=False)):
        pen.text((0, LINE + height + line * LINE + 5), f"{title}: {captions(folder)[name]}", "black", font)
    return picture


def main() -> None:
    font = ImageFont.load_default(size=16)
    with tempfile.TemporaryDirectory() as folder:
        published = Path(folder) / "published"
        command = [sys.executable, "-P", "-m", "protect.cli", "photos", str(SAMPLES), str(published), "--seed", "7"]
        subprocess.run([*command, "--quiet"], check=True, stdout=subprocess.DEVNULL)
        rows = [row(name, published, font) for name in SHOWN]
    picture = Image.new("RGB", (max(one.width for one in rows), sum(one.height for one in rows)), "white")
    top = 0
    for one in rows:
        picture.paste(one, (0, top))
        top += one.height
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    picture.save(PICTURE, quality=90, subsampling=0)
    print(f"{PICTURE.relative_to(ROOT)}: {PICTURE.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
