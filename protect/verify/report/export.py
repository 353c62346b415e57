"""A comparison for programs: CLIP_benchmark's schema, and everything else as JSON."""

import json
from dataclasses import asdict
from math import isfinite
from typing import Any

from protect.verify.report.findings import headline, notes, percents
from protect.verify.result import CLEAN, MOMENTS, Comparison

Plain = dict[str, Any] | list[Any] | tuple[Any, ...] | str | int | float | bool | None


def to_benchmark(found: Comparison) -> list[dict[str, Any]]:
    """One record a run and moment, in the result schema of CLIP_benchmark."""
    return [
        {
            "dataset": f"{run.arm}, seed {run.seed}, {moment} epoch",
            "model": run.attacker,
            "pretrained": str(found.settings.get("pretrained", "")),
            "task": "zeroshot_retrieval",
            "metrics": run.at(moment).got,
            "language": "",
        }
        for run in found.runs
        for moment in MOMENTS
    ]


def to_dict(found: Comparison) -> dict[str, Any]:
    """Everything, ready for JSON: settings, versions, file hashes, every epoch of every run, what follows from it."""
    shares = [
        {"arm": arm.name, "attacker": a}
        | {moment: found.share(arm.name, a, moment) for moment in MOMENTS}
        | {f"of its twin, {moment}": found.share_of_twin(arm.name, a, moment) for moment in MOMENTS}
        for arm in found.arms
        if arm.name != CLEAN
        for a in found.attackers
    ]
    learned = [
        {"percent": p, "attacker": a, **{moment: found.learnability(p, a, moment) for moment in MOMENTS}}
        for p in percents(found)
        for a in found.attackers
    ]
    weakest = found.weakest()
    return asdict(found) | {
        "headline": headline(found),
        "weakest": None if weakest is None else weakest._asdict(),
        "refusal": found.refusal,
        "clean_gain_kept": shares,
        "learnability": learned,
        "notes": list(notes(found)),
    }


def to_json(content: Plain) -> str:
    """Standard JSON: what is no finite number, as the PSNR of equal pictures, becomes null."""
    return json.dumps(_finite(content), indent=1, allow_nan=False) + "\n"


def _finite(value: Plain) -> Plain:
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not isfinite(value) else value
