"""Every unlearning method and baseline on models trained here, by one recipe: forget, keep, time.

python benchmarks/unlearn.py [--seeds 3] [--tasks class,pairs,safe] [--threads N]

Finished runs are kept under runs/unlearn/SEED/TASK/ and found again, a stopped one goes on. Estimated for one free
core and a seed, from 0.17 s a step of training and 5 to 15 s a method: `class` 20 minutes, `pairs` 25, `safe` 2.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import torch
import unlearn_data
from common import ROOT, RUNS, save, table

from protect.settings import ForgetSettings, UnlearnSettings
from protect.unlearn.report import to_markdown
from protect.unlearn.run import RESULT, Result, Sources, load_result, unlearn

DATA = unlearn_data.FOLDER
RECIPE = UnlearnSettings(steps=60, epochs=12, batch=64, step_size=5e-4, size=32)
BASELINES = ("finetune", "ga", "graddiff", "kl", "enmn", "l1_sparse")
ARMS: dict[str, dict[str, tuple[str, ...]]] = {
    "class": {
        "sphere": (*BASELINES, "cliperase", "cliperase-coordinates", "ac", "ccu"),
        "meru": ("finetune", "ac", "hac", "hac_reg"),
    },
    "pairs": {"sphere": ("finetune", "graddiff", "cliperase", "ac")},
    "safe": {"sphere": ("safeclip",), "meru": ("hysac",)},
}
SOURCES = {
    "class": Sources(*(((f"{DATA}/class/{name}",)) for name in ("forget-train", "retain-train", "forget-test")),
                     (f"{DATA}/class/retain-test",), (f"{DATA}/class/far",)),
    "pairs": Sources(*(((f"{DATA}/pairs/{name}",)) for name in ("forget-train", "retain-train")),
                     retain_test=(f"{DATA}/pairs/retain-test",), forget_test=(f"{DATA}/pairs/forget-test",)),
    "safe": Sources(*(((f"{DATA}/safe/{name}",)) for name in ("unsafe-train", "safe-train", "unsafe-test")),
                    (f"{DATA}/safe/safe-test",)),
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tasks", default=",".join(ARMS))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    unlearn_data.main()
    rows = []
    for task in options.tasks.split(","):
        for geometry in ARMS[task]:
            runs = [run_task(task, geometry, seed) for seed in range(options.seeds)]
            rows += [summary(task, geometry, name, [run[name] for run in runs]) for name in runs[0]]
    print(table(rows))
    settings = {"recipe": vars(RECIPE), "losses": vars(ForgetSettings()), "seeds": options.seeds}
    print(save("unlearn", settings, rows).relative_to(ROOT))


def run_task(task: str, geometry: str, seed: int) -> dict[str, Result]:
    """All methods from one model of this seed, each in its folder; the model and its retraining first."""
    size = 64 if task == "pairs" else 32
    settings = replace(RECIPE, geometry=geometry, size=size, seed=seed)
    folder = RUNS / "unlearn" / str(seed) / task / geometry
    sources = SOURCES[task]
    # the model to start from knows everything; `safe` starts from the model of `class`, which knows all ten classes
    home, known = ("class", SOURCES["class"]) if task == "safe" else (task, sources)
    base = folder.parents[1] / home / geometry / "base"
    everything = replace(known, retain=(*known.retain, *known.forget))
    found = {"base": once(base, everything, replace(settings, method="retrain"))}
    if task != "safe":
        found["retrain"] = once(folder / "retrain", sources, replace(settings, method="retrain"), "", base)
    gold = "" if task == "safe" else str(folder / "retrain")
    for arm in ARMS[task][geometry]:
        method, _, reading = arm.partition("-")
        losses = ForgetSettings(consistency=reading or "batch")
        found[arm] = once(folder / arm, sources, replace(settings, method=method), gold, base, losses)
    (folder / "report.md").write_text(to_markdown([run for name, run in found.items() if name != "base"]))
    return found


def once(
    out: Path, sources: Sources, settings: UnlearnSettings, gold: str = "", base: Path | None = None,
    losses: ForgetSettings = ForgetSettings(),  # noqa: B008
) -> Result:  # fmt: skip
    """The run kept in `out`, or made now."""
    if not (out / RESULT).exists():
        print(out.relative_to(RUNS), flush=True)
        settings = replace(settings, geometry="auto") if base else settings
        unlearn("tiny-resnet", str(base or ""), sources, settings, out, losses, gold)
    return load_result(out)


def summary(task: str, geometry: str, name: str, runs: list[Result]) -> dict[str, Any]:
    """One row: means over seeds, in percent; lowest and highest forget accuracy or recall beside."""
    key = "accuracy" if runs[0].chance is not None else "text_retrieval_recall@10"
    known = [{side: 100 * r.after[side][key] for side in r.after} for r in runs]
    redirected = [r.redirection["after"] for r in runs if r.redirection]
    shares = [100 * r.time_share for r in runs if r.time_share is not None]
    return {
        "task": task,
        "geometry": geometry,
        "method": name,
        "forget": round(mean(k["forget"] for k in known), 1),
        "forget lo-hi": f"{min(k['forget'] for k in known):.1f}-{max(k['forget'] for k in known):.1f}",
        "retain": round(mean(k["retain"] for k in known), 1),
        "far": round(mean(k["far"] for k in known), 1) if "far" in known[0] else None,
        "membership": _mean([r.membership["after"] for r in runs]),
        "from retrained": _mean([r.distance["after"] for r in runs]),
        "texts kept": _mean([r.texts_kept["after"] for r in runs if r.texts_kept]),
        "unsafe image to twin": _mean([100 * r["image_recall@1"] for r in redirected]),
        "unsafe text to twin": _mean([100 * r["text_recall@1"] for r in redirected]),
        "safe image to own": _mean([100 * r["safe_image_recall@1"] for r in redirected]),
        "untouched": _mean([100 * r.redirection["before"]["image_recall@1"] for r in runs if r.redirection]),
        "CPU seconds": round(mean(r.course.cpu_seconds for r in runs), 1),
        "time %": round(mean(shares), 1) if shares else None,
    }


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(mean(known), 3) if known else None


if __name__ == "__main__":
    main()
