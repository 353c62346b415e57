"""Words in the alphabet of each position against strength: how soon an attacker learns the planted rule.

    python benchmarks/alphabet.py

collage-64, the first 4,000 pairs, three words, patterns hardly fitted (one round), so that only the size of the
alphabet differs; a tiny-resnet attacker, three epochs. A training loss near 0 says that the rule was learned.
"""

import argparse
import json
import shutil

from common import DATA, ROOT, RUNS, protect, save, table
from strength import TEST

PAIRS = str(DATA / "collage-64/train/{00000..00003}.tar")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="4,8,16,32,64")
    parser.add_argument("--epochs", type=int, default=3)
    settings = parser.parse_args()
    folder = RUNS / "alphabet"
    folder.mkdir(parents=True, exist_ok=True)
    first, *others = settings.sizes.split(",")
    for size in (first, *others):
        out = folder / size
        shutil.rmtree(out, ignore_errors=True)
        protect("shards", PAIRS, out, "--alphabet", size, "--rounds", 1, "--window", 256)
    attack = ["--test", TEST, "--attackers", "tiny-resnet", "--epochs", settings.epochs, "-o", folder / "report"]
    attack += ["--augment", "none", "--countermeasures", "none", "--mix", "1"]
    arms = [argument for size in others for argument in ("--arm", f"{size}={folder / size}")]
    protect("verify", PAIRS, folder / first, *arms, *attack)
    runs = json.loads((folder / "report/details.json").read_text())["runs"]
    named = {"clean": "clean", "protected": first} | dict(zip(others, others, strict=True))
    rows = [row(named[run["arm"]], run) for run in runs if run["arm"] in named]
    print(table(rows))
    print(save("alphabet", vars(settings), rows).relative_to(ROOT))


def row(size: str, run: dict) -> dict:
    recalls = [100 * run["epochs"][-1]["metrics"][f"{way}_retrieval_recall@10"] for way in ("text", "image")]
    losses = {f"loss, epoch {epoch['epoch']}": epoch["loss"] for epoch in run["epochs"][1:]}
    return {"words a position": size, **losses, "i2t R@10 %": recalls[0], "t2i R@10 %": recalls[1]}


if __name__ == "__main__":
    main()
