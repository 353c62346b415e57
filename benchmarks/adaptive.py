"""What an attacker who owns the tool makes of Flickr8k photos: a denoiser and a detector, learned from own pairs.

    python benchmarks/adaptive.py

Nine shards of the 64 px copy are published, protected with one key. The other four are the attacker's own, protected
with another. Then `protect verify` trains on the published files as they are, and as the attacker cleans them.
A killed run is resumed by the same command.
"""

import argparse
import json
import shutil
from pathlib import Path

from common import DATA, ROOT, RUNS, make, protect, save, table
from flickr8k import FOLDER, SIDE, copy
from flickr8k_verdict import curves
from verdict import rows_of

WORK, PUBLISHED = RUNS / "adaptive", 9  # shards
ROWS = "adaptive-denoiser,adaptive-denoise-and-strip"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--attackers", default="tiny-resnet")
    parser.add_argument("--epochs", type=int, default=12)
    settings = parser.parse_args()
    for part in ("train", "test"):
        copy(DATA / "flickr8k" / part, FOLDER / part)
    shards = sorted((FOLDER / "train").glob("*.tar"))
    clean, files = protected("clean", shards[:PUBLISHED], key=5)
    own, own_files = protected("own", shards[PUBLISHED:], key=99)
    out = WORK / "report"
    asked = ("--test", FOLDER / "test", "--attackers", settings.attackers, "--countermeasures", ROWS, "--mix", 1)
    recipe = ("--epochs", settings.epochs, "--size", SIDE, "--precision", "fp32", "--jobs", 1)
    protect("verify", clean, files, *asked, *recipe, "--own-pairs", f"{own}={own_files}", "--out", out)
    details = json.loads((out / "details.json").read_text())
    rows = rows_of(details)
    print(table(rows))
    print(save("flickr8k-adaptive", vars(settings), {"rows": rows, "by_epoch": curves(details)}).relative_to(ROOT))


def protected(name: str, shards: list[Path], key: int) -> tuple[Path, Path]:
    """A folder with these shards, and one with them as the default protects them."""
    folder, out = WORK / name, WORK / f"{name}-protected"
    folder.mkdir(parents=True, exist_ok=True)
    for shard in shards:
        shutil.copyfile(shard, folder / shard.name)
    make(out, ["--size", SIDE, "--urls", "strip", "--seed", key, "-q"], folder)
    return folder, out


if __name__ == "__main__":
    main()
