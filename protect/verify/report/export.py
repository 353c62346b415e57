"""A comparison for programs: CLIP_benchmark's schema, and everything else as JSON."""

import json
from dataclasses import asdict, replace
from math import isfinite
from typing import Any

from protect.verify.records import CLEAN, LINEAR_PROBE, MOMENTS, PERCENTILE, RECALL, ZERO_SHOT, Run
from protect.verify.report.findings import notes, percents
from protect.verify.report.summary import headline
from protect.verify.result import Comparison

Plain = dict[str, Any] | list[Any] | tuple[Any, ...] | str | int | float | bool | None


def to_benchmark(comparison: Comparison) -> list[dict[str, Any]]:
    """One record a run, moment and task, in the result schema of CLIP_benchmark."""
    pretrained = comparison.settings.get("pretrained") or ""
    return [
        {
            "dataset": f"{run.arm}, seed {run.seed}, {moment} epoch",
            "model": run.attacker,
            "pretrained": pretrained,
            "task": task,
            "metrics": metrics,
            "language": "",
        }
        for run in comparison.runs
        for moment in MOMENTS
        for task, metrics in _by_task(run.at(moment).better).items()
    ]


def _by_task(metrics: dict[str, float]) -> dict[str, dict[str, float]]:
    """The metrics of each task by CLIP_benchmark's name; tasks without any are left out."""
    classified = {"zeroshot_classification": ZERO_SHOT, "linear_probe": LINEAR_PROBE}
    retrieved = {name: value for name, value in metrics.items() if name not in classified.values()}
    named = {task: {"acc1": metrics[name]} for task, name in classified.items() if name in metrics}
    return {"zeroshot_retrieval": retrieved} | named


def to_dict(comparison: Comparison) -> dict[str, Any]:
    """Everything, ready for JSON: settings, versions, file hashes, every epoch of every run, what follows from it."""
    shares = [
        {"arm": arm.name, "attacker": attacker} | _retained(comparison, arm.name, attacker)
        for arm in comparison.arms
        if arm.name != CLEAN
        for attacker in comparison.attackers
    ]
    learned = [
        {"percent": p, "attacker": a, **{moment: comparison.learnability(p, a, moment) for moment in MOMENTS}}
        for p in percents(comparison)
        for a in comparison.attackers
    ]
    weakest = comparison.weakest()
    return asdict(comparison) | {
        "runs": list(map(_run, comparison.runs)),
        "headline": headline(comparison),
        "weakest": None if weakest is None else weakest._asdict(),
        "refusal": comparison.refusal,
        "retained_gain": shares,
        "learnability": learned,
        "notes": list(notes(comparison)),
    }


def _retained(comparison: Comparison, arm: str, attacker: str) -> dict[str, float | None]:
    """Of one row, by moment: by R@10 and by mean percentile rank, their standard errors, beside its control."""
    shares = dict[str, float | None]()
    for moment in MOMENTS:
        place = (arm, attacker, moment)
        shares[moment] = comparison.retained(*place)
        shares[f"{moment}, error"] = comparison.error(*place, RECALL)
        shares[f"{moment}, by rank"] = comparison.retained(*place, PERCENTILE)
        shares[f"{moment}, by rank, error"] = comparison.error(*place, PERCENTILE)
        shares[f"{moment}, of its control"] = comparison.retained_of_control(*place)
    return shares


def _run(run: Run) -> dict[str, Any]:
    """Without the results of every test picture, which are in runs.jsonl."""
    return asdict(replace(run, epochs=tuple(replace(epoch, pictures=None) for epoch in run.epochs)))


def to_json(content: Plain) -> str:
    """Standard JSON: what is no finite number, as the PSNR of equal pictures, becomes null."""
    return json.dumps(_finite(content), indent=1, allow_nan=False) + "\n"


def _finite(value: Plain) -> Plain:
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not isfinite(value) else value
