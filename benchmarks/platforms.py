"""What platforms leave of the noise, and how well `protect check` measures it.

    python benchmarks/platforms.py

First the verifier's rows: the share of the noise that each of them leaves on collage-64, beside the gain that
attackers retained in it (results/verdict.json). `protect check` takes its verdict from this table, which is also
written to protect/jobs/check/measured.json. Then made-up platforms: photos are protected, resized, cropped and
compressed, and what `protect check` says of them stands beside the truth, which needs the same done to the originals.
"""

import argparse
import io
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from common import DATA, RESULTS, ROOT, RUNS, protect, save, table
from PIL import Image

from protect.data.shards import image_member, read_samples
from protect.jobs.check.alignment import align, part
from protect.jobs.check.noise_left import noise_left
from protect.jobs.check.own import Run
from protect.jobs.check.pair import check_pair
from protect.verify.countermeasures import COUNTERMEASURES

MEASURED = ROOT / "protect/jobs/check/measured.json"
HOW = "small CLIPs trained from scratch on 8,000 collages at 64 px; see docs/platforms.md"
SHARD = DATA / "collage-64/train/00000.tar"
KEY = 1
# name of the row, its name in the result file, what it does to pictures, the share of the words that it leaves
ROWS: tuple[tuple[str, str, str | None, float], ...] = (
    ("as published", "protected", None, 1.0),
    ("scraper-chain", "scraper-chain", "scraper-chain", 1.0),
    ("jpeg-75", "jpeg-75", "jpeg-75", 1.0),
    ("grayscale", "grayscale", "grayscale", 1.0),
    ("spectral-whitening", "level-directions", "spectral-whitening", 1.0),
    ("words alone, no noise", "content-words-alone", "none", 1.0),
    ("half-words", "half-words", None, 0.5),
    ("words removed", "trigger-stripped", None, 0.0),
    ("whiten-and-deduplicate", "level-and-strip", "spectral-whitening", 0.0),
)
Chain = Callable[[Image.Image], Image.Image]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=300, help="collages whose noise is measured")
    parser.add_argument("--photos", default="../shared/data/big-photos", help="folders of photos")
    parser.add_argument("--most", type=int, default=4, help="photos of each folder")
    settings = parser.parse_args()
    rows = list(verifier_rows(settings.pictures))
    print(table([{**row, "retained": "{:.2f} to {:.2f}".format(*row["retained"])} for row in rows]))
    MEASURED.write_text(json.dumps({"how": HOW, "rows": rows}, indent=1) + "\n")
    chains = [chain for folder in settings.photos.split(",") for chain in made_up(ROOT / folder, settings.most)]
    print(table(list(summary(chains))))
    result = {"rows": rows, "chains": list(summary(chains)), "photos": chains}
    print(save("platforms", vars(settings), result).relative_to(ROOT))


def verifier_rows(count: int) -> Iterator[dict[str, Any]]:
    """Each row with the share of the noise it leaves, by its own code, and the gain that attackers retained in it."""
    out = RUNS / "platforms-collages"
    shutil.rmtree(out, ignore_errors=True)
    protect("shards", SHARD, out, "--seed", KEY, "--quiet")
    clean, published = (pictures(path, count) for path in (SHARD, out / SHARD.name))
    for name, arm, deed, words in ROWS:
        row = COUNTERMEASURES[deed] if deed and deed != "none" else None
        change = row.picture if row and row.picture else lambda picture: picture
        left = 0.0 if deed == "none" else fmean(map(share(change), clean, published))
        yield {"name": name, "noise": round(left, 3), "words": words, "retained": retained(arm)}


def share(change: Chain) -> Callable[[Image.Image, Image.Image], float]:
    """The share of the noise of a protected picture that a change leaves, since the same is done to the clean one."""

    def of(clean: Image.Image, published: Image.Image) -> float:
        before, after = (np.asarray(picture, np.float32) for picture in (clean, published))
        changed = np.asarray(change(published), np.float32)
        return noise_left(changed, after, after - before, exact=True).left

    return of


def pictures(shard: Path, count: int) -> list[Image.Image]:
    found = []
    for sample in read_samples(shard):
        member = image_member(sample)
        assert member is not None, sample.key
        found.append(Image.open(io.BytesIO(member.data)).convert("RGB"))
        if len(found) == count:
            break
    return found


def retained(arm: str) -> list[float]:
    """The least and the most that attackers' families retained at their best epoch."""
    rows = json.loads((RESULTS / "verdict.json").read_text())["result"]["rows"]
    shares = [row["best"] for row in rows if row["part"].endswith("report") and row["arm"] == arm]
    return [round(min(shares), 3), round(max(shares), 3)]


def encoded(image: Image.Image, kind: str, **options: Any) -> Image.Image:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return Image.open(file).convert("RGB")


def at_most(image: Image.Image, longer: int) -> Image.Image:
    scale = min(1.0, longer / max(image.size))
    size = round(image.width * scale), round(image.height * scale)
    return image.resize(size, Image.Resampling.LANCZOS)


def middle(image: Image.Image) -> Image.Image:
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def screenshot(image: Image.Image) -> Image.Image:
    """The photo at an odd size on a page with a frame around it."""
    shown = at_most(image, 703)
    page = Image.new("RGB", (shown.width + 160, shown.height + 230), (250, 250, 250))
    page.paste(shown, (80, 60))
    return page


CHAINS: dict[str, Chain] = {
    "JPEG 75 4:2:0": lambda p: encoded(p, "JPEG", quality=75, subsampling=2),
    "WebP 75": lambda p: encoded(p, "WEBP", quality=75),
    "1,080 px, JPEG 80": lambda p: encoded(at_most(p, 1080), "JPEG", quality=80),
    "640 px, JPEG 80": lambda p: encoded(at_most(p, 640), "JPEG", quality=80),
    "320 px, WebP 75": lambda p: encoded(at_most(p, 320), "WEBP", quality=75),
    "150 px, JPEG 75": lambda p: encoded(at_most(p, 150), "JPEG", quality=75),
    "square, 640 px, JPEG 75": lambda p: encoded(at_most(middle(p), 640), "JPEG", quality=75),
    "screenshot, PNG": screenshot,
}


def made_up(folder: Path, most: int) -> Iterator[dict[str, Any]]:
    """Every photo of a folder through every chain: the truth, and what is measured with less and less at hand."""
    out, work = RUNS / f"platforms-{folder.name}", RUNS / "platforms-work"
    work.mkdir(parents=True, exist_ok=True)
    protect("photos", folder, out, "--seed", KEY, "--quiet")
    for path in sorted(out.glob("*.jpg"))[:most]:
        mine, original = (Image.open(place).convert("RGB") for place in (path, folder / path.name))
        if mine.size != original.size:  # turned upright when it was protected
            continue
        for name, chain in CHAINS.items():
            found, clean = chain(mine), chain(original)
            sent = work / "downloaded.tif"  # without loss, and quick to write
            found.save(sent)
            measured = {
                "by original": check_pair(path, sent, Run.of(path, KEY), folder / path.name),
                "by key": check_pair(path, sent, Run.of(path, KEY)),
                "by method": check_pair(path, sent, Run(None)),
            }
            shares = {by: check.noise.left if check.noise else None for by, check in measured.items()}
            yield {"photo": path.name, "chain": name, "truth": truth(mine, original, found, clean), **shares}


def truth(mine: Image.Image, original: Image.Image, found: Image.Image, clean: Image.Image, size: int = 224) -> float:
    """The difference that the noise makes after the platform, along the noise, at training size."""
    place = align(mine, found)
    scale = size / min(found.size)
    box = place.found
    frame = round((box[2] - box[0]) * scale), round((box[3] - box[1]) * scale)
    seen, bare = (np.asarray(part(p, place.found, frame), np.float32).mean(2) for p in (found, clean))
    held, before = (np.asarray(part(p, place.mine, frame), np.float32).mean(2) for p in (mine, original))
    noise = held - before
    return float(((seen - bare) * noise).sum() / (noise * noise).sum())


def summary(chains: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Means over photos: the truth, and the mean error of each way to measure."""
    for name in CHAINS:
        rows = [row for row in chains if row["chain"] == name]
        same = [row for row in rows if row["by key"] is not None]
        line: dict[str, Any] = {"chain": name, "photos": len(rows), "known": len(same)}
        line["noise left"] = round(fmean(row["truth"] for row in same), 3)
        for by in ("by original", "by key", "by method"):
            line[f"error {by}"] = round(fmean(abs(row[by] - row["truth"]) for row in same), 3)
        yield line


if __name__ == "__main__":
    main()
