"""Every unlearning method and baseline on models trained here, by one recipe: forget, keep, time.

python benchmarks/unlearn.py [--seeds 3] [--tasks class,safe,pairs] [--threads N] [--finished]

Finished runs are kept under runs/unlearn/SEED/TASK/ and found again, a stopped one goes on; the result file is
written anew after each seed. --finished trains nothing and reports what there is.
"""

import argparse
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from statistics import mean
from typing import Any
from zlib import crc32

import torch
import unlearn_data
from common import ROOT, RUNS, save, table

from protect.settings.unlearn import ForgetSettings, UnlearnSettings
from protect.unlearn import judge
from protect.unlearn import run as job
from protect.unlearn.head import Clip
from protect.unlearn.pairs import Pairs
from protect.unlearn.report import below_chance, to_markdown
from protect.unlearn.run import RESULT, Result, Sources, load_result, unlearn

DATA = unlearn_data.FOLDER
RECIPE = UnlearnSettings(steps=60, epochs=6, batch=32, step_size=2e-4, size=32)
BASELINES = ("finetune", "ga", "graddiff", "kl", "enmn", "l1_sparse")
ARMS: dict[str, dict[str, tuple[str, ...]]] = {
    "class": {
        "sphere": ("retrain", *BASELINES, "cliperase", "cliperase-coordinates", "ac", "ccu", "ccup"),
        "meru": ("finetune", "ac", "hac", "hac_reg"),
    },
    "pairs": {"sphere": ("retrain", "finetune", "graddiff", "cliperase", "ac")},
    "safe": {"sphere": ("safeclip", "saferclip"), "meru": ("hysac",)},
}
# what differs from the defaults, for the reason beside it
LOSSES: dict[str, dict[str, Any]] = {
    **{name: {"floor": 1000.0} for name in ("ga", "graddiff", "kl")},  # the papers' ascent has no floor
    "hac": {"wrong": 0.5, "spread": 0.5},  # the paper's alpha and gamma
    # chosen on seed 100, which is not reported
    "ccu": {"keep": 20.0, "balance": 0.5, "separate": 0.1},
    "safeclip": {"preserve": 15.0, "rivals": True},
    "hysac": {"preserve": 10.0, "order": 5.0},
    "hac_reg": {"wrong": 0.5, "spread": 0.5, "norm": 1.0},
    "cliperase-coordinates": {"consistency": "coordinates"},  # the other reading
}
STEPS = {"ccu": 45, "safeclip": 150, "saferclip": 150, "hysac": 150}  # instead of the recipe's, chosen on seed 100
SHOWN = ("task", "geometry", "method", "seeds", "forget", "retain", "far", "below chance", "membership")
SHOWN += ("from retrained", "texts kept", "CPU s", "time %")
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
    parser.add_argument("--tasks", default="class,safe")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--finished", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    unlearn_data.main()
    remember()
    groups = [(task, geometry) for task in options.tasks.split(",") for geometry in ARMS[task]]
    runs: dict[tuple[str, str, str], list[Result]] = {}
    for seed in range(options.seeds):
        for task, geometry in groups:
            for name, run in run_task(task, geometry, seed, options.finished).items():
                runs.setdefault((task, geometry, name), []).append(run)
        rows = [summary(*arm, found) for arm, found in runs.items()]
        settings = {
            "recipe": vars(RECIPE),
            "losses": vars(ForgetSettings()),
            "instead": LOSSES,
            "steps": STEPS,
            "seeds": seed + 1,
        }
        path = save("unlearn", settings, rows)
    print(table([{name: row[name] for name in SHOWN} for row in rows]))
    print(path.relative_to(ROOT))


def remember() -> None:
    """Every method has the same pairs, and the models it is compared with see the same in them: once is enough."""
    job.read_pairs = lru_cache(job.read_pairs)
    seen: dict[tuple[Any, ...], judge.Embedded] = {}
    embed = judge.embed

    def embed_once(model: Clip, pairs: Pairs) -> judge.Embedded:
        key = (model.fingerprint(), pairs.captions, crc32(pairs.pixels.tobytes()))
        if key not in seen:
            seen[key] = embed(model, pairs)
        return seen[key]

    judge.embed = embed_once


def run_task(task: str, geometry: str, seed: int, finished: bool = False) -> dict[str, Result]:
    """All methods from one model of this seed, each in its folder; what others are measured by comes first.

    finished: only those that were run before.
    """
    size = 64 if task == "pairs" else 32
    settings = replace(RECIPE, geometry=geometry, size=size, seed=seed)
    folder = RUNS / "unlearn" / str(seed) / task / geometry
    sources = SOURCES[task]
    # the model to start from knows everything; `safe` starts from the model of `class`, which knows all ten classes
    home, known = ("class", SOURCES["class"]) if task == "safe" else (task, sources)
    base = folder.parents[1] / home / geometry / "base"
    if finished:
        arms = {arm: folder / arm for arm in ARMS[task][geometry]}
        places = {"base": base} | arms
        return {name: load_result(place) for name, place in places.items() if (place / RESULT).exists()}
    everything = replace(known, retain=(*known.retain, *known.forget))
    found = {"base": once(base, everything, replace(settings, method="retrain"))}
    for arm in ARMS[task][geometry]:
        gold = str(folder / "retrain") if "retrain" in found else ""
        method = arm.partition("-")[0]
        losses = ForgetSettings(**LOSSES.get(arm, {}))
        own = replace(settings, method=method, steps=STEPS.get(arm, RECIPE.steps))
        found[arm] = once(folder / arm, sources, own, gold, base, losses)
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
    """One row: means over seeds, in percent, and the figures of each seed."""
    key = "accuracy" if runs[0].chance is not None else "text_retrieval_recall@10"
    known = [{side: 100 * r.after[side][key] for side in r.after} for r in runs]
    redirected = [r.redirection["after"] for r in runs if r.redirection]
    untouched = [r.redirection["before"] for r in runs if r.redirection]
    return {
        "task": task,
        "geometry": geometry,
        "method": name,
        "seeds": len(runs),
        "forget": _mean([k["forget"] for k in known]),
        "retain": _mean([k["retain"] for k in known]),
        "far": _mean([k.get("far") for k in known]),
        "below chance": f"{sum(map(below_chance, runs))} of {len(runs)}",
        "membership": _mean([r.membership["after"] for r in runs]),
        "from retrained": _mean([r.distance["after"] for r in runs]),
        "texts kept": _mean([100 * r.texts_kept["after"] for r in runs if r.texts_kept]),
        "CPU s": _mean([r.course.cpu_seconds for r in runs]),
        "time %": _mean([None if r.time_share is None else 100 * r.time_share for r in runs]),
        "forget by seed": [round(k["forget"], 1) for k in known],
        "retain by seed": [round(k["retain"], 1) for k in known],
        "retrieval": {side: _means([_recalls(r.after[side]) for r in runs]) for side in ("forget", "retain")},
        "redirection": _means(redirected),
        "redirection before": _means(untouched),
        "redirection by seed": [_means([r]) for r in redirected],
    }


def _recalls(figures: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in figures.items() if "recall" in name}


def _means(figures: list[dict[str, float]]) -> dict[str, float]:
    """Means in percent, by name."""
    return {name: round(100 * mean(each[name] for each in figures), 1) for name in (figures or [{}])[0]}


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(mean(known), 3) if known else None


if __name__ == "__main__":
    main()
