"""What attackers learn from each method's files: collage-64, files as written, one recipe, several seeds.

    python benchmarks/strength.py --seeds 3

Protects the first 8,000 pairs with every method, then trains attackers of both families on every arm. Each
attacker is a process of its own on one core. A killed run goes on where it was; the table shows what is there.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import mean
from typing import Any

from common import DATA, ROOT, RUNS, protect, save, table

CLEAN = str(DATA / "collage-64/train/{00000..00007}.tar")
TEST = str(DATA / "collage-64/test")
I2T, T2I = "text_retrieval_recall@10", "image_retrieval_recall@10"
CHANCE = 10 / 1000  # ten of the 1,000 test pairs, one caption each
ATTACKERS = ("tiny-resnet", "tiny-vit")
AS_WRITTEN = ("--augment", "none", "--countermeasures", "none", "--mix", "1", "--jobs", "1")
METHODS: dict[str, list[str]] = {
    "random": ["--method", "random"],
    "instant": ["--method", "instant"],
    "em": ["--method", "em"],
    "mem": ["--method", "mem"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--epsilon", type=float, default=8.0)
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--name", default="strength")
    parser.add_argument("--only-table", action="store_true", help="no work, the table of what is there")
    settings = parser.parse_args()
    folder = RUNS / settings.name
    methods = settings.methods.split(",")
    if not settings.only_table:
        for method in methods:
            make(folder / method, method, settings.epsilon)
        for seeds in range(1, settings.seeds + 1):  # all arms of a seed before the next seed
            attack(folder, methods, seeds, settings.epochs)
    rows = [row for attacker in ATTACKERS for row in rows_of(folder / attacker / "runs.jsonl", methods[-1])]
    print(table(rows))
    distortion = {method: distortion_of(folder / method) for method in methods}
    print(table([{"method": method, **values} for method, values in distortion.items()]))
    made = {method: folder / f"{method}.making.json" for method in methods}
    making = {method: json.loads(path.read_text()) for method, path in made.items() if path.exists()}
    result = {"rows": rows, "distortion": distortion, "making": making}
    print(save(settings.name, vars(settings), result).relative_to(ROOT))


def make(out: Path, method: str, epsilon: float) -> dict[str, float]:
    """Protected shards of one method; time and memory of making them."""
    kept = out.with_name(f"{method}.making.json")
    if kept.exists():
        return json.loads(kept.read_text())
    shutil.rmtree(out, ignore_errors=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    cost = protect("shards", CLEAN, out, *METHODS[method], "--epsilon", epsilon)
    kept.write_text(json.dumps(cost))
    return cost


def attack(folder: Path, methods: list[str], seeds: int, epochs: int) -> None:
    """Every attacker on every arm, side by side."""
    arms = [argument for method in methods[:-1] for argument in ("--arm", f"{method}={folder / method}")]
    recipe = ["--test", TEST, "--seeds", str(seeds), "--epochs", str(epochs), *AS_WRITTEN]
    verify = [sys.executable, "-P", "-m", "protect.cli", "verify", CLEAN, str(folder / methods[-1]), *arms, *recipe]
    processes = [
        subprocess.Popen(
            [*verify, "--attackers", attacker, "-o", str(folder / attacker)],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        for attacker in ATTACKERS
    ]
    if any([process.wait() for process in processes]):
        raise SystemExit("an attacker failed; see above")


def rows_of(kept: Path, protected: str) -> list[dict[str, Any]]:
    """One row an arm: R@10 in % (mean of seeds, lowest..highest) and the share of the clean gain that is left."""
    runs = [json.loads(line) for line in kept.read_text().splitlines()]
    rows: list[dict[str, Any]] = []
    for arm in sorted({run["arm"] for run in runs}, key=lambda arm: arm != "clean"):
        own = [run for run in runs if run["arm"] == arm]
        name = protected if arm == "protected" else arm
        row: dict[str, Any] = {"attacker": own[0]["attacker"], "arm": name, "seeds": len(own)}
        for moment in ("last", "best"):
            found = [pick(run["epochs"], moment) for run in own]
            row[f"{moment} i2t"] = spread([100 * epoch["metrics"][I2T] for epoch in found])
            row[f"{moment} t2i"] = spread([100 * epoch["metrics"][T2I] for epoch in found])
            gain = mean(recall(epoch) for epoch in found) - CHANCE
            seeds = {run["seed"] for run in own}
            clean = [run for run in runs if run["arm"] == "clean" and run["seed"] in seeds]
            row[f"{moment} share"] = gain / (mean(recall(pick(run["epochs"], moment)) for run in clean) - CHANCE)
        row["best epoch"] = ", ".join(str(pick(run["epochs"], "best")["epoch"]) for run in own)
        rows.append(row)
    return rows


def recall(epoch: dict[str, Any]) -> float:
    return (epoch["metrics"][I2T] + epoch["metrics"][T2I]) / 2


def pick(epochs: list[dict[str, Any]], moment: str) -> dict[str, Any]:
    """The last epoch, or the one with the highest R@10 of both directions (never the untrained network)."""
    return epochs[-1] if moment == "last" else max(epochs[1:], key=recall)


def spread(values: list[float]) -> str:
    return f"{sum(values) / len(values):.1f} ({min(values):.1f}..{max(values):.1f})"


def distortion_of(out: Path) -> dict[str, Any]:
    """Means over the shards."""
    stats = [json.loads(path.read_text()) for path in sorted(out.glob("*_stats.json"))]
    names = ("psnr", "ssim", "psnr_clean_reencode", "ssim_clean_reencode", "trigger_survival")
    known = {name: [s[name] for s in stats if s[name] is not None] for name in names}  # no words, nothing to survive
    means = {name: round(sum(values) / len(values), 4) if values else None for name, values in known.items()}
    return {"linf": max(s["linf"] for s in stats), **means}


if __name__ == "__main__":
    main()
