r"""The verifier's standard report on collage-64: the retained gain after countermeasures, for several methods.

    python benchmarks/verdict.py --methods instant-words-alone,instant-epsilon-4,mem --mix 0.1,0.5

Further parts, whose runs are found again:

    python benchmarks/verdict.py --part colour --methods "" --mix 1 \
        --rows colour-normalisation,clean:colour-normalisation
    python benchmarks/verdict.py --part seeds --seeds 3 --methods "" --rows none --mix 1
    python benchmarks/verdict.py --part longer --methods "" --rows longer,clean:longer --mix 1
    python benchmarks/verdict.py --claim em --part em --methods "" --mix 0.1,0.5 \
        --rows scraper-chain,jpeg-75,grayscale,strong-augmentation
    python benchmarks/verdict.py --only-table

As the default writes today, with mask and phrases, beside large batches; runs and results of its own:

    python benchmarks/verdict.py --name verdict-default --attackers tiny-resnet --methods "" --mix 1 \
        --rows whiten-and-deduplicate,normalise-and-deduplicate,large-batch-512,large-batch-1024,controls

Protects the first 8,000 pairs with every method, then runs `protect verify` for each attacker, with the default
method as the claim (or --claim) and the others as further arms. The same command resumes a killed run, and so does
one that asks for more rows or seeds. The reports stay under runs/NAME, one for each attacker and part.
"""

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from statistics import fmean
from typing import Any

from common import ROOT, RUNS, make, protect, save, table
from strength import ATTACKERS, CLEAN, TEST, pick, recall

from protect.data.journal import Journal

RUNS_FILE = "runs.jsonl"
METHODS: dict[str, list[str]] = {
    "instant": [],
    "instant-no-words": ["--trigger-words", "0"],
    "instant-words-alone": ["--epsilon", "0"],
    "instant-epsilon-4": ["--epsilon", "4"],
    "mem": ["--method", "mem"],
    "mem-eot": ["--method", "mem", "--eot", "crop,jpeg"],
    "em": ["--method", "em"],
    "em-eot": ["--method", "em", "--eot", "crop,jpeg"],
    "random": ["--method", "random"],
}
ROWS = "scraper-chain,jpeg-75,grayscale,strong-augmentation,clean:strong-augmentation,half-words,"
ROWS += "deduplicate-prefixes,caption-regression,notch-filter,spectral-whitening,clean:spectral-whitening,"
ROWS += "colour-normalisation,clean:colour-normalisation,whiten-and-deduplicate,oproj,clean:oproj"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--attackers", default=",".join(ATTACKERS))
    parser.add_argument("--claim", default="instant", choices=list(METHODS))
    parser.add_argument("--part", default="report", help="name of this report; runs of the others are found again")
    parser.add_argument("--methods", default="mem,em,random,instant-epsilon-4", help="further arms")
    parser.add_argument("--rows", default=ROWS, help="countermeasures")
    parser.add_argument("--mix", default="0.5", help="protected shares of a mixture (1: no mixture)")
    parser.add_argument("--name", default="verdict", help="of the result file and of the folder of runs")
    parser.add_argument("--only-table", action="store_true", help="no work, the table of what is there")
    settings = parser.parse_args()
    folder, further = RUNS / settings.name, [name for name in settings.methods.split(",") if name]
    attackers = settings.attackers.split(",")
    if not settings.only_table:
        for method in (settings.claim, *further):
            make(folder / method, METHODS[method], CLEAN)
        arms = [argument for method in further for argument in ("--arm", f"{method}={folder / method}")]
        for attacker in attackers:
            out = folder / f"{attacker}-{settings.part}"
            gather(out, folder.glob(f"{attacker}-*/{RUNS_FILE}"))
            recipe = ("--epochs", settings.epochs, "--seeds", settings.seeds, "--mix", settings.mix, "--jobs", 1)
            asked = ("--test", TEST, "--attackers", attacker, "--countermeasures", settings.rows)
            protect("verify", CLEAN, folder / settings.claim, "--out", out, *asked, *recipe, *arms)
    found = {
        path.parent.name: json.loads(path.read_text())
        for attacker in attackers
        for path in sorted(folder.glob(f"{attacker}-*/details.json"))
    }
    rows = [{"part": part, **row} for part, details in found.items() for row in rows_of(details)]
    print(table(rows))
    timings = [{"part": part, "seconds": d["seconds"]} for part, d in found.items()]
    print(save(settings.name, vars(settings), {"rows": rows, "timings": timings}).relative_to(ROOT))


def gather(out: Path, others: Iterable[Path]) -> None:
    """All finished runs in one folder: they are known by what was trained on what, not by their report."""
    runs = {run["id"]: run for path in sorted(others) for run in Journal(path).read()}
    Journal(out / RUNS_FILE).rewrite(runs.values())


def rows_of(details: dict[str, Any]) -> list[dict[str, Any]]:
    """Every row and attacker of a report, at the last and best epoch: retained gain, its error, R@10 in %."""
    whole = dict.fromkeys(("last", "best", "best, by rank"), 1.0)
    clean = [{"arm": "clean", "attacker": attacker} | whole for attacker in details["settings"]["attackers"]]
    return [
        {
            "arm": share["arm"],
            "attacker": share["attacker"],
            "seeds": len(runs_of(details, share)),
            **{
                name: share.get(name)
                for name in ("last", "best", "best, error", "best, by rank", "best, by rank, error")
            },
            **{f"{moment} R@10 %": 100 * score(details, share, moment) for moment in ("last", "best")},
        }
        for share in clean + details["retained_gain"]
    ]


def score(details: dict[str, Any], share: dict[str, Any], moment: str) -> float:
    """R@10 (0 to 1), mean of directions and seeds."""
    return fmean(recall(pick(run["epochs"], moment)) for run in runs_of(details, share))


def runs_of(details: dict[str, Any], share: dict[str, Any]) -> list[dict[str, Any]]:
    return [r for r in details["runs"] if (r["arm"], r["attacker"]) == (share["arm"], share["attacker"])]


if __name__ == "__main__":
    main()
