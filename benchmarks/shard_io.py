"""What phase 2 costs beside its computing: shards alone against a plain loop, and whole runs against pure compute.

    python benchmarks/shard_io.py

First table: read, decode, encode at the same quality, write; ours through the tool's own reader, codec, threads and
writer, the loop with tarfile and Pillow and nothing else. Second table: `protect shards` on one shard, and the time
that the protector alone takes for the same batches. What is compared takes turns, and ratios are taken turn by turn:
whatever else the machine does then slows both. Processor seconds are those of all threads.
"""

import argparse
import io
import shutil
import tarfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch
from common import DATA, ROOT, RUNS, save, table
from PIL import Image

from protect.data.images import decode, encode
from protect.data.shard_writer import ShardWriter, replace_members
from protect.data.shards import find_shards, image_member, read_samples, split_name
from protect.data.window import Window
from protect.jobs.fit import fill_window
from protect.jobs.look import Look
from protect.jobs.plan import make_plan
from protect.jobs.shards import pictures_at_once, protect_shards
from protect.methods import METHODS
from protect.methods.protector import Protector, fit
from protect.methods.recipe import Recipe
from protect.samples import Sample
from protect.settings.publish import PublishSettings
from protect.settings.recipe import FitSettings
from protect.types import Batch

SETS = {"collage-64": "collage-64/train/00000.tar", "flickr8k-mini": "flickr8k-mini/00000.tar"}
PUBLISH = PublishSettings(urls="keep")
AHEAD = 16


class Seconds(NamedTuple):
    """How long a piece of work took."""

    wall: float
    cpu: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="turns; the median counts")
    parser.add_argument("--methods", default="mem,em", help="of the second table")
    parser.add_argument("--surrogate", default="tiny-resnet")
    settings = parser.parse_args()
    folder = RUNS / "shard_io"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shards = [shard_row(name, DATA / place, folder, settings.repeats) for name, place in SETS.items()]
    print(table(shards), flush=True)
    methods = settings.methods.split(",")
    runs = [run_row(method, settings.surrogate, folder, settings.repeats) for method in methods]
    print(table(runs))
    print(save("shard_io", vars(settings), {"shards": shards, "runs": runs}).relative_to(ROOT))


def shard_row(name: str, shard: Path, folder: Path, repeats: int) -> dict[str, Any]:
    pairs = sum(bool(sample.key) for sample in read_samples(shard))
    loops, ours = in_turn([partial(work, shard, folder / "out.tar") for work in (plain_loop, our_path)], repeats)
    row: dict[str, Any] = {"set": name, "pairs": pairs}
    for clock in Seconds._fields:
        row |= {
            f"loop pairs/s, {clock}": pairs / middle(loops, clock),
            f"ours pairs/s, {clock}": pairs / middle(ours, clock),
            f"ratio, {clock}": ratio(loops, ours, clock),
        }
    return row


def plain_loop(shard: Path, out: Path) -> None:
    with tarfile.open(shard) as source, tarfile.open(out, "w") as target:
        for member in source:
            file = source.extractfile(member)
            if file is None:
                continue
            data = file.read()
            if member.name.endswith((".jpg", ".jpeg")):
                pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
                buffer = io.BytesIO()
                Image.fromarray(pixels).save(buffer, "JPEG", quality=PUBLISH.jpeg_quality, subsampling=0)
                data = buffer.getvalue()
            info = tarfile.TarInfo(member.name)
            info.size = len(data)
            target.addfile(info, io.BytesIO(data))


def our_path(shard: Path, out: Path) -> None:
    with ThreadPoolExecutor(pictures_at_once(Look(shard).sizes)) as pool, ShardWriter(out) as writer:
        for sample in ahead(read_samples(shard), pool):
            writer.write(sample)
        writer.commit()


def ahead(samples: Iterator[Sample], pool: ThreadPoolExecutor) -> Iterator[Sample]:
    waiting: deque = deque()
    for sample in samples:
        waiting.append(pool.submit(again, sample))
        if len(waiting) > AHEAD:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def again(sample: Sample) -> Sample:
    """A sample whose picture was decoded and encoded."""
    image = image_member(sample)
    if image is None:
        return sample
    photo = decode(image.data, PUBLISH.max_pixels)
    return replace_members(sample, {split_name(image.name)[1]: encode(photo, photo.image, PUBLISH)})


def run_row(method: str, surrogate: str, folder: Path, repeats: int) -> dict[str, Any]:
    """A whole run on pairs that the fit has not seen, beside the protector alone."""
    shards = find_shards([str(DATA / SETS["collage-64"])])
    recipe = Recipe(
        FitSettings(method, (surrogate,), window=128), own=METHODS[method].settings(rounds=1, surrogate_steps=1)
    )
    protector = unseen(fit(fill_window(shards, recipe, PUBLISH), recipe))
    window = fill_window(shards, Recipe(FitSettings("em", (surrogate,), window=1000)), PUBLISH)
    protector.protect(window.batch(torch.arange(128)))

    def compute() -> None:
        for batch in batches(window):
            protector.protect(batch)

    def run() -> None:
        out = folder / method
        shutil.rmtree(out, ignore_errors=True)
        plan = make_plan([str(shards[0])], out, PUBLISH)
        shutil.rmtree(plan.home, ignore_errors=True)
        protect_shards(plan, recipe, protector)

    alone, whole = in_turn([compute, run], repeats)
    row: dict[str, Any] = {"method": method, "pairs": len(window)}
    for clock in Seconds._fields:
        row |= {
            f"compute s, {clock}": middle(alone, clock),
            f"run s, {clock}": middle(whole, clock),
            f"overhead, {clock}": ratio(whole, alone, clock) - 1,
        }
    return row


def unseen(protector: Protector) -> Protector:
    """The protector without what it kept for its window."""
    return Protector(
        protector.recipe,
        type(protector.fitted)(protector.fitted.alphabet, protector.fitted.tensors),
        protector.size,
        protector.fingerprint,
        protector.pairs,
    )


def batches(window: Window) -> Iterator[Batch]:
    return (window.batch(rows) for rows in torch.arange(len(window)).split(128))


def in_turn(works: Sequence[Callable[[], Any]], repeats: int) -> list[list[Seconds]]:
    """Times of each piece of work, turn after turn."""
    turns = [[timed(work) for work in works] for _ in range(repeats)]
    return [list(times) for times in zip(*turns, strict=True)]


def timed(work: Callable[[], Any]) -> Seconds:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Seconds(time.perf_counter() - wall, time.process_time() - cpu)


def middle(times: Sequence[Seconds], clock: str) -> float:
    return median(getattr(time, clock) for time in times)


def ratio(times: Sequence[Seconds], others: Sequence[Seconds], clock: str) -> float:
    """Median of the turns' own ratios."""
    return median(getattr(a, clock) / getattr(b, clock) for a, b in zip(times, others, strict=True))


if __name__ == "__main__":
    main()
