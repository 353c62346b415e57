"""The verifier's report on Flickr8k at 64 px, for the default of `protect shards`: five captions a photo.

    python benchmarks/flickr8k_verdict.py

Three minutes of one core for each row. The same command resumes a killed run, and so does one that asks for more
rows.
"""

import argparse
import json

from common import DATA, ROOT, RUNS, make, protect, save, table
from flickr8k import FOLDER, SIDE, copy
from verdict import rows_of

ROWS = "scraper-chain,jpeg-75,grayscale,whiten-and-deduplicate,half-resolution,oproj,notch-filter,spectral-whitening"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--attackers", default="tiny-resnet")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--mix", default="0.5")
    parser.add_argument("--rows", default=ROWS, help="countermeasures")
    parser.add_argument("--name", default="flickr8k-verdict", help="of the result file and of the report's folder")
    settings = parser.parse_args()
    for part in ("train", "test"):
        copy(DATA / "flickr8k" / part, FOLDER / part)
    clean, protected, out = FOLDER / "train", FOLDER / "default-train", RUNS / settings.name
    make(protected, ["--size", str(SIDE), "--urls", "strip", "-q"], clean)
    asked = ("--test", FOLDER / "test", "--attackers", settings.attackers, "--countermeasures", settings.rows)
    recipe = ("--epochs", settings.epochs, "--seeds", settings.seeds, "--mix", settings.mix, "--size", SIDE)
    protect("verify", clean, protected, *asked, *recipe, "--precision", "fp32", "--jobs", 1, "--out", out)
    details = json.loads((out / "details.json").read_text())
    rows = rows_of(details)
    print(table(rows))
    result = {"rows": rows, "seconds": details["seconds"], "by_epoch": curves(details)}
    print(save(settings.name, vars(settings), result).relative_to(ROOT))


def curves(details: dict) -> dict[str, list[float]]:
    """R@10 in %, mean of both directions, after each epoch of each training."""
    names = ("text_retrieval_recall@10", "image_retrieval_recall@10")
    return {
        f"{run['arm']}, {run['attacker']}, seed {run['seed']}": [
            round(50 * sum(epoch["metrics"][name] for name in names), 2) for epoch in run["epochs"]
        ]
        for run in details["runs"]
    }


if __name__ == "__main__":
    main()
