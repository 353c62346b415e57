"""`protect check`: seconds for a pair of large photos, and for folders of photos that are matched by content.

    python benchmarks/check_speed.py --folder 300

The downloaded file of a pair is what a site makes of a photo: 2,048 pixels and JPEG 80, or as large as it was. Times
are of whole commands, their start included.
"""

import argparse
import shutil
from pathlib import Path
from typing import Any

from common import ROOT, RUNS, protect, save, table
from PIL import Image

SIZES = {"12 MP": (4000, 3000), "48 MP": (8000, 6000)}
SMALL = (1200, 900)  # photos of the folders


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=int, default=300, help="photos of the folders")
    settings = parser.parse_args()
    rows = [row for name, size in SIZES.items() for row in pairs(name, size)]
    rows.append(folders(settings.folder))
    print(table(rows))
    print(save("check_speed", vars(settings), rows).relative_to(ROOT))


def protected(name: str, size: tuple[int, int], count: int) -> Path:
    """A folder of so many protected photos."""
    source, out = RUNS / "check_speed" / f"{name} clean", RUNS / "check_speed" / name
    if not (out / "captions.csv").exists():
        shutil.rmtree(source, ignore_errors=True)
        source.mkdir(parents=True)
        samples = sorted((ROOT / "samples/photos").glob("*.jpg"))
        for number in range(count):
            with Image.open(samples[number % len(samples)]) as image:
                turned = image.convert("RGB").rotate(number // len(samples) * 7)
                turned.resize(size, Image.Resampling.BICUBIC).save(source / f"{number:04}.jpg", quality=90)
        protect("photos", source, out, "--seed", 1, "--quiet")
    return out


def sent(path: Path, target: Path, longer: int | None) -> Path:
    """What a site makes of a photo."""
    with Image.open(path) as image:
        scale = min(1.0, longer / max(image.size)) if longer else 1.0
        size = round(image.width * scale), round(image.height * scale)
        image.resize(size, Image.Resampling.LANCZOS).save(target, "JPEG", quality=80)
    return target


def pairs(name: str, size: tuple[int, int]) -> list[dict[str, Any]]:
    mine = protected(name, size, 1) / "0000.jpg"
    rows = []
    for longer in (None, 2048):
        downloaded = sent(mine, RUNS / "check_speed" / f"{name} {longer}.jpg", longer)
        cost = protect("check", mine, downloaded)
        rows.append({"mine": f"one of {name}", "downloaded": f"{longer} px" if longer else "as large", **cost})
    return rows


def folders(count: int) -> dict[str, Any]:
    mine, got = protected(f"{count} photos", SMALL, count), RUNS / "check_speed" / f"{count} downloaded"
    shutil.rmtree(got, ignore_errors=True)
    got.mkdir()
    for number, path in enumerate(sorted(mine.glob("*.jpg"))):
        sent(path, got / f"IMG_{(number * 7919) % 100_003:06}.jpg", 640)
    return {"mine": f"{count} of 1 MP", "downloaded": "640 px", **protect("check", mine, got, "--json")}


if __name__ == "__main__":
    main()
