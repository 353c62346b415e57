"""What looking for leaks costs: at the end of each shard beside phase 2, and in full beside decoding the shard.

    python benchmarks/scan_speed.py
    python benchmarks/scan_speed.py --photos ../shared/data/big-photos

Protects photos of Flickr8k with the default, then searches what was written as `protect inspect` does. Times are
processor seconds of this process, so that other work on the machine counts little. `decode` opens every picture of
the written shard once, with Pillow alone; `full` reads the clean shard and the written one, and compares them.
"""

import argparse
import io
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from common import DATA, save, table
from PIL import Image

import protect.jobs.shard
from protect.jobs.inspection import _originals, read_records, scan_files
from protect.jobs.plan import make_plan
from protect.jobs.shards import PROTECTOR, protect_shards
from protect.methods.protector import Protector
from protect.methods.recipe import Recipe
from protect.publish.leaks import Leak
from protect.settings.publish import PublishSettings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shard", type=Path, default=DATA / "flickr8k/test/00000.tar")
    parser.add_argument("--pairs", type=int, default=256, help="pairs of the shard that are used")
    parser.add_argument(
        "--photos", type=Path, help="a folder of JPEGs, each with a made-up caption, in place of a shard"
    )
    parser.add_argument("--profile", action="store_true", help="print where the full search spends its time")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with TemporaryDirectory() as folder:
        source = Path(folder) / "in"
        source.mkdir()
        if options.photos:
            pack(sorted(options.photos.glob("*.jpg"))[: options.pairs], source / "00000.tar")
        else:
            first_pairs(options.shard, source / "00000.tar", options.pairs)
        result = measure(source, Path(folder) / "out", options.profile)
    print(table([result]))
    name = options.photos.name if options.photos else f"{options.shard.parent.name}/{options.shard.name}"
    save("scan_speed-photos" if options.photos else "scan_speed", {"pictures": name, "pairs": options.pairs}, result)


def pack(photos: list[Path], target: Path) -> None:
    """A shard of photo files."""
    with tarfile.open(target, "w") as tar:
        for number, photo in enumerate(photos):
            texts = f"photo number {number} of a long walk by the river".encode()
            for ending, data in (("jpg", photo.read_bytes()), ("txt", texts)):
                info = tarfile.TarInfo(f"{number:03}.{ending}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))


def first_pairs(shard: Path, target: Path, count: int) -> None:
    """A shard of the first pairs of another."""
    with tarfile.open(shard) as old, tarfile.open(target, "w") as new:
        keys: dict[str, None] = {}
        for member in old:
            keys[member.name.partition(".")[0]] = None
            if len(keys) > count:
                break
            new.addfile(member, old.extractfile(member))


def measure(source: Path, out: Path, profile: bool) -> dict[str, Any]:
    publish, recipe = PublishSettings(urls="strip", others="drop", unmatched="drop"), Recipe()
    plan = make_plan([str(source)], out, publish)
    protect_shards(plan, recipe, None)
    protector = Protector.load(plan.private / PROTECTOR)
    again = make_plan([str(source)], out.with_name("again"), publish)
    sampled: list[float] = []
    check = protect.jobs.shard.check_leaks
    protect.jobs.shard.check_leaks = lambda *given: sampled.append(timed(lambda: found.extend(check(*given))))
    found: list[str] = []
    phase_2 = timed(lambda: protect_shards(again, recipe, protector))
    written, clean = out / "00000.tar", source / "00000.tar"
    leaks: list[Leak] = []
    records = read_records(plan.private, written)

    def full() -> None:
        originals = _originals(clean, records, publish.caption_keys, recipe.trigger.trigger_style)
        leaks.extend(scan_files(written, originals))

    decoding, scanning = timed(lambda: decode(written)), timed(full)
    if profile:
        import cProfile
        import pstats

        profiler = cProfile.Profile()
        profiler.runcall(full)
        pstats.Stats(profiler).sort_stats("tottime").print_stats(25)
    return {
        "pairs": len(records),
        "phase 2": round(phase_2, 2),
        "sampled": round(sum(sampled), 2),
        "sampled / phase 2": round(sum(sampled) / phase_2, 3),
        "decode": round(decoding, 2),
        "full": round(scanning, 2),
        "full / decode": round(scanning / decoding, 2),
        "leaks": len(leaks),
    }


def timed(work: Callable[[], None]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def decode(shard: Path) -> None:
    """Every picture of a shard as pixels, by tarfile and Pillow alone."""
    with tarfile.open(shard) as tar:
        for member in tar:
            if member.name.endswith((".jpg", ".png", ".webp")):
                np.asarray(Image.open(io.BytesIO(tar.extractfile(member).read())).convert("RGB"))


if __name__ == "__main__":
    main()
