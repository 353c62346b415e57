"""The share of phase 2 of `mem` that is not the model, by processor time on one thread.

    python benchmarks/phase2_mem.py

The model's part is the call that makes noise and words for pictures that the fit has not seen: steps through the
frozen surrogate. The rest is what `protect shards` does with any sample once it is read: decode, enlarge, write, read
again, compare, captions. The surrogate is a tiny one, untrained; with a larger one the share is smaller.
"""

import argparse
import shutil
from collections import defaultdict
from statistics import median
from typing import Any
from unittest.mock import patch

import torch
from cluster import make_shards
from common import ROOT, RUNS, protect, save, table
from phase2_speed import PHOTOS, clocked, processor_ms, protect_all, sample
from threadpoolctl import threadpool_limits

from protect.methods.protector import Protector
from protect.settings.publish import PublishSettings

WORK = RUNS / "phase2-mem"
FIT = "--method mem --window 32 --rounds 1 --surrogate-steps 1 --text-rounds 1 --batch 16"
SIZES = ((144, 144), (256, 256), (512, 384))


def row(protector: Protector, width: int, height: int, repeats: int) -> dict[str, Any]:
    """Milliseconds a picture: all, and the model alone."""
    samples, publish = [sample(name, width, height) for name in PHOTOS], PublishSettings()
    whole, model = [], []
    for _ in range(repeats):
        spent: dict[str, float] = defaultdict(float)
        with patch.object(Protector, "protect", clocked("model", Protector.protect, spent)):
            whole.append(processor_ms(lambda: protect_all(samples, protector, publish)))
        model.append(1e3 * spent["model"] / len(PHOTOS))
    shares = [1 - part / all_ for part, all_ in zip(model, whole, strict=True)]
    return {
        "pixels": f"{width}x{height}",
        "ms a picture": median(whole),
        "of it model": median(model),
        "share that is not": round(median(shares), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=64, help="side of the surrogate's pictures (64)")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    shutil.rmtree(WORK, ignore_errors=True)
    shards = make_shards(WORK / "in", 1, 32, 64)
    protect("fit", shards, "-o", WORK / "protector", "--size", given.size, "-q", *FIT.split(), threads=1)
    torch.set_num_threads(1)
    protector = Protector.load(WORK / "protector")
    with threadpool_limits(1):
        rows = [row(protector, *size, given.repeats) for size in SIZES]
    print(table(rows))
    print(save("phase2_mem", {**vars(given), "fit": FIT}, rows).relative_to(ROOT))


if __name__ == "__main__":
    main()
