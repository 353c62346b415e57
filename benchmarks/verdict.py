r"""The verifier's standard report on collage-64: what is left after countermeasures, methods beside each other.

    python benchmarks/verdict.py --epochs 6

What was measured, in parts that are found again:

    python benchmarks/verdict.py --attackers tiny-resnet --methods code,mem --rows scraper-chain,jpeg-75,grayscale,\
        half-words,subtract-content-means,remove-stripes,strong-augmentation,clean:strong-augmentation
    python benchmarks/verdict.py --attackers tiny-vit --methods content-3,code --rows none --mix 1
    python benchmarks/verdict.py --only-table

Protects the first 8,000 pairs with every method, then runs `protect verify` for each attacker, with the default
method as the claim and the others as further arms. A killed run goes on where it was, and so does one that is asked
for more rows or seeds. The reports stay under runs/verdict.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from common import ROOT, RUNS, protect, save, table
from strength import CLEAN, TEST, pick, recall

CLAIM = "content"
METHODS: dict[str, list[str]] = {
    CLAIM: [],
    "content-two-words": ["--content-words", "2"],
    "content-epsilon-4": ["--epsilon", "4"],
    "code": ["--method", "code"],
    "mem": ["--method", "mem"],
    "em": ["--method", "em"],
    "random": ["--method", "random"],
}
STANDARD = "scraper-chain,jpeg-75,grayscale,subtract-content-means,half-words,strong-augmentation"
ROWS = {"tiny-resnet": f"{STANDARD},clean:strong-augmentation,ueraser-light,longer", "tiny-vit": STANDARD}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--attackers", default=",".join(ROWS))
    parser.add_argument("--methods", default="code,mem,em,random,content-epsilon-4", help="further arms")
    parser.add_argument("--rows", default="", help="countermeasures (those of the attacker)")
    parser.add_argument("--mix", default="0.5", help="protected shares of a mixture (1: no mixture)")
    parser.add_argument("--only-table", action="store_true", help="no work, the table of what is there")
    settings = parser.parse_args()
    folder, further = RUNS / "verdict", [name for name in settings.methods.split(",") if name]
    attackers = settings.attackers.split(",")
    if not settings.only_table:
        for method in (CLAIM, *further):
            make(folder / method, METHODS[method])
        arms = [argument for method in further for argument in ("--arm", f"{method}={folder / method}")]
        for attacker in attackers:
            rows = settings.rows or ROWS[attacker]
            recipe = ("--epochs", settings.epochs, "--seeds", settings.seeds, "--mix", settings.mix, "--jobs", 1)
            asked = ("--test", TEST, "--attackers", attacker, "--countermeasures", rows)
            judge(folder / f"{attacker}-report", *asked, *recipe, *arms)
    found = [
        json.loads(path.read_text())
        for attacker in attackers
        if (path := folder / f"{attacker}-report" / "details.json").exists()
    ]
    rows = [row for details in found for row in rows_of(details)]
    print(table(rows))
    timings = [{"attackers": d["settings"]["attackers"], "seconds": d["seconds"]} for d in found]
    print(save("verdict", vars(settings), {"rows": rows, "timings": timings}).relative_to(ROOT))


def make(out: Path, options: list[str]) -> None:
    if not (out / "_protect/manifest.jsonl").exists():
        protect("shards", CLEAN, out, *options)


def judge(out: Path, *options: object) -> None:
    protect("verify", CLEAN, RUNS / "verdict" / CLAIM, "--out", out, *options)


def rows_of(details: dict[str, Any]) -> list[dict[str, Any]]:
    """Every arm and attacker of a report: share of the clean gain left, R@10 in %, at the last and best epoch."""
    clean = [{"arm": "clean", "attacker": a, "last": 1.0, "best": 1.0} for a in details["settings"]["attackers"]]
    return [
        {
            "arm": share["arm"],
            "attacker": share["attacker"],
            **{moment: share[moment] for moment in ("last", "best")},
            **{f"{moment} R@10 %": 100 * score(details, share, moment) for moment in ("last", "best")},
        }
        for share in clean + details["clean_gain_kept"]
    ]


def score(details: dict[str, Any], share: dict[str, Any], moment: str) -> float:
    """R@10 (0 to 1), mean of directions and seeds."""
    runs = [r for r in details["runs"] if (r["arm"], r["attacker"]) == (share["arm"], share["attacker"])]
    return sum(recall(pick(run["epochs"], moment)) for run in runs) / len(runs)


if __name__ == "__main__":
    main()
