"""`protect photos` on camera photos, by strength: time, memory, looks, and what a site's own processing leaves.

    python benchmarks/photos.py
    python benchmarks/photos.py --many    # memory of 100 small photos and of 5, and when the first file is out

A site makes a photo smaller (longest side 2,048, 1,080 or 512 px) and writes it as JPEG 85. What is left is the
difference between the protected and the clean photo, both processed so, as CLIP's preprocessing sees it at 224 px,
in per cent of the noise that was made before mask and floor (its projection; 100 is all of it).
"""

import argparse
import io
import shutil
import threading
import time
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from common import DATA, ROOT, RUNS, protect, save, table
from PIL import Image

from protect.data.images import to_view
from protect.data.photo_files import read_still
from protect.data.prepared import Prepared
from protect.jobs.photos.key import EPSILON, SIZE, key_protector
from protect.jobs.photos.records import PhotoRecord, read_records
from protect.methods.protector import Protector
from protect.settings.publish import STRENGTHS

PHOTOS = ("Bridge", "Dragonfly", "Wine", "free", "friends", "life")  # 3 to 16 megapixels, flat and textured
SITES = (2048, 1080, 512)
KEY = 1
MOST_PIXELS = 400_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", default=",".join(PHOTOS), help="beginnings of names, or all")
    parser.add_argument("--many", action="store_true", help="memory and the first file, by number of photos")
    settings = parser.parse_args()
    if settings.many:
        rows = [many(count) for count in (5, 100)]
        print(table(rows))
        print(save("photos_many", vars(settings), rows).relative_to(ROOT))
        return
    source, made, kept = chosen(settings.photos), key_protector(KEY), RUNS / "photos" / "protector"
    shutil.rmtree(kept, ignore_errors=True)
    made.save(kept)  # the same for all, whatever happens to the package meanwhile
    rows, photos = [], []
    for strength in STRENGTHS:
        out = RUNS / "photos" / strength
        shutil.rmtree(out, ignore_errors=True)
        cost = protect("photos", source, out, "--strength", strength, "--protector", kept, "--quiet")
        records = list(read_records(out).values())
        scale = STRENGTHS[strength].epsilon / EPSILON
        left = [survival(made, source / record.name, out / record.name, record, scale) for record in records]
        rows.append(row(strength, records, left, cost))
        photos += [{"strength": strength, "name": r.name, "ssim": r.ssim, "epsilon": r.epsilon} for r in records]
    print(table(rows))
    result = {"strengths": rows, "photos": photos}
    print(save("photos", vars(settings) | {"protector": made.hash}, result).relative_to(ROOT))


def many(count: int) -> dict[str, Any]:
    """So many copies of the sample photos (400 pixels long) in one run, and when its first file was there."""
    source, out = RUNS / "photos" / f"{count} photos", RUNS / "photos" / f"{count} protected"
    for folder in (source, out):
        shutil.rmtree(folder, ignore_errors=True)
    source.mkdir(parents=True)
    samples = sorted((ROOT / "samples/photos").glob("*.jpg"))
    for number in range(count):
        shutil.copyfile(samples[number % len(samples)], source / f"{number:03}.jpg")
    begin = time.perf_counter()
    first: list[float] = []

    def look() -> None:
        while not list(out.glob("*.jpg")):
            time.sleep(0.05)
        first.append(time.perf_counter() - begin)

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    cost = protect("photos", source, out, "--seed", KEY, "--quiet")
    watcher.join(1)
    return {"photos": count, "first file after s": first[0], **cost}


def chosen(names: str) -> Path:
    """A folder with the photos whose names begin so."""
    folder = RUNS / "photos" / "clean"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    begins = tuple("" if names == "all" else name for name in names.split(","))
    for path in sorted((DATA / "big-photos").glob("*.jpg")):
        if path.name.startswith(begins):
            shutil.copyfile(path, folder / path.name)
    return folder


def survival(made: Protector, clean: Path, protected: Path, record: PhotoRecord, scale: float) -> dict[str, float]:
    """Per cent of the noise at training size, in the file itself and after each site."""
    noise = scale * made_noise(made, clean, record)
    pictures = [Image.open(path).convert("RGB") for path in (clean, protected)]
    left = {}
    for site in (0, *SITES):
        before, after = (to_view(at_site(picture, site), SIZE).astype(np.float32) for picture in pictures)
        left["file" if not site else f"{site} px"] = 100 * float(((after - before) * noise).sum() / (noise**2).sum())
    return left


def made_noise(made: Protector, path: Path, record: PhotoRecord) -> np.ndarray:
    """The noise that was made for what a model sees of a photo, 3 x 224 x 224 in 255ths, before mask and floor."""
    photo = Prepared(None, (record.caption_before,), read_still(path, MOST_PIXELS))
    [perturbation] = made.perturb([made.look(photo)])
    noise, words, size = perturbation()
    if not record.caption.startswith(" ".join(words)):
        raise SystemExit(f"{record.name}: its caption has other words than its noise; the recipe has changed")
    edge = (noise.shape[-1] - size) // 2
    return noise[:, edge : edge + size, edge : edge + size].astype(np.float32)


def at_site(picture: Image.Image, longest: int) -> np.ndarray:
    """The picture as a site shows it; 0: as uploaded."""
    if not longest:
        return np.asarray(picture)
    scale = min(1.0, longest / max(picture.size))
    size = round(picture.width * scale), round(picture.height * scale)
    file = io.BytesIO()
    picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0).save(file, "JPEG", quality=85)
    return np.asarray(Image.open(file))


def row(strength: str, records: list[PhotoRecord], left: list[dict], cost: dict[str, float]) -> dict[str, Any]:
    seconds = [record.seconds for record in records]
    return {
        "strength": strength,
        "epsilon": STRENGTHS[strength].epsilon,
        "photos": len(records),
        "s a photo": fmean(seconds),
        "slowest": max(seconds),
        "processor s": cost["cpu_seconds"] / len(records),
        "peak MB": cost["peak_mb"],
        "SSIM": fmean(record.ssim for record in records),
        "least": min(record.ssim for record in records),
        "lowered": sum(record.lowered for record in records),
        **{f"left %, {name}": fmean(photo[name] for photo in left) for name in left[0]},
    }


if __name__ == "__main__":
    main()
