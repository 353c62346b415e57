"""What a run did, or would do, in a few lines."""

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from typing import Any

from protect.batches import Window
from protect.plan import Plan, readable
from protect.protector import Protector, fit
from protect.run import fill_window
from protect.settings import Recipe
from protect.shard_job import try_samples

PROBE = 32  # samples a dry run works on to estimate time


def summary(plan: Plan, results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Counts and distortion over all shards, with the same as `text`."""
    count, protected = sum(r["count"] for r in results), sum(r["protected"] for r in results)
    errors = [{"shard": result["shard"], **error} for result in results for error in result["errors"]]
    total = {
        "shards": len(results),
        "count": count,
        "protected": protected,
        "failed_to_protect": count - protected,
        "broken_shards": sum(not error["key"] for error in errors),
        "triggers_cut": sum(error["reason"].startswith("trigger cut") for error in errors),
        "linf": max((r["linf"] for r in results if r["linf"] is not None), default=None),
        "psnr": _weighted(results, "psnr"),
        "ssim": _weighted(results, "ssim"),
        "psnr_clean_reencode": _weighted(results, "psnr_clean_reencode"),
        "ssim_clean_reencode": _weighted(results, "ssim_clean_reencode"),
        "trigger_survival": _weighted(results, "trigger_survival"),
        "errors": errors,
        "out": str(plan.out),
    }
    return total | {"text": _text(total, plan)}


def _shards(count: int) -> str:
    return "1 shard" if count == 1 else f"{count} shards"


def _weighted(results: Sequence[dict[str, Any]], name: str) -> float | None:
    known = [(r["protected"], r[name]) for r in results if r[name] is not None and r["protected"]]
    weight = sum(n for n, _ in known)
    return round(sum(n * value for n, value in known) / weight, 4) if weight else None


def _text(total: dict[str, Any], plan: Plan) -> str:
    where = f"{_shards(total['shards'])}: {total['out']}"
    lines = [f"{total['protected']} of {total['count']} pairs protected in {where}"]
    if total["protected"]:
        psnr = "infinite" if total["psnr"] is None else f"{total['psnr']:.1f} dB"
        lines.append(f"distortion: L-infinity {total['linf']}, PSNR {psnr}, SSIM {total['ssim']:.4f}")
        if total["psnr_clean_reencode"] is not None:
            lines.append(
                f"a clean re-encode alone: PSNR {total['psnr_clean_reencode']:.1f} dB, "
                f"SSIM {total['ssim_clean_reencode']:.4f}"
            )
        kept = total["trigger_survival"]
        lines.append("captions: untouched" if kept is None else f"trigger words surviving: {100 * kept:.1f} %")
    what = {"keep": "passed through unchanged", "skip": "left out", "fail": "refused"}[plan.publish.on_error]
    if total["failed_to_protect"]:
        lines.append(f"{total['failed_to_protect']} samples could not be protected and were {what}:")
    named = (f"{e['shard']} {e['key']}: {e['reason']}" if e["key"] else e["reason"] for e in total["errors"][:20])
    lines += [f"  {line}" for line in named]
    if len(total["errors"]) > 20:
        lines.append(f"  ... and {len(total['errors']) - 20} more, in the _stats.json files")
    lines.append(f"never publish {plan.private}: it undoes the protection")
    return "\n".join(lines)


def estimate(plan: Plan, recipe: Recipe, protector: Protector | None) -> dict[str, Any]:
    """What the run would do, and how long it would take by a few timed steps on the first samples."""
    pairs, exact = _count(plan)
    window = min(pairs, recipe.fit.window)
    lines = [f"{_shards(len(plan.shards))}, {'' if exact else 'about '}{pairs} pairs -> {plan.out}"]
    fitting, new = 0.0, protector is None
    if protector is None:
        probe = replace(recipe, fit=replace(recipe.fit, window=PROBE, batch=min(PROBE, recipe.fit.batch)))
        small = fill_window(plan.shards, probe, plan.publish)
        fitting, protector = _fit_seconds(small, probe, recipe, window)
        lines.append(f"fit {recipe.fit.method} on {window} pairs: about {_minutes(fitting)}")
    else:
        lines.append(f"protector {protector.hash[:12]} ({protector.recipe.fit.method})")
    later = pairs - window if new and protector.fitted.noise is not None else 0
    protecting = _protect_seconds(plan, protector, pairs - later)
    if later:  # what the fit has not seen gets its noise in phase 2
        unseen = replace(protector, fitted=replace(protector.fitted, noise=None))
        protecting += _protect_seconds(plan, unseen, later)
    lines.append(f"protect {pairs} pairs: about {_minutes(protecting)}")
    epsilon = protector.recipe.noise.epsilon
    lines += [f"largest change of a pixel: {epsilon} of 255", "nothing was written"]
    numbers = {"shards": len(plan.shards), "count": pairs, "exact": exact, "epsilon": epsilon}
    times = {"fit_seconds": round(fitting, 1), "protect_seconds": round(protecting, 1)}
    return numbers | times | {"out": str(plan.out), "text": "\n".join(lines)}


def _count(plan: Plan) -> tuple[int, bool]:
    """Pairs in all shards, from the first shard's count and all sizes."""
    first = sum(bool(sample.key) for sample in readable(plan.shards[0]))
    sizes = [shard.stat().st_size for shard in plan.shards]
    return round(first * sum(sizes) / sizes[0]), len(sizes) == 1


def _fit_seconds(small: Window, probe: Recipe, recipe: Recipe, window: int) -> tuple[float, Protector]:
    """Time of a fit, scaled from rounds of one and of five surrogate steps, and what such a round fitted."""
    mem = recipe.mem
    if recipe.modelless:
        return 0.0, fit(small, probe)

    def seconds(surrogate_steps: int, text_rounds: int) -> tuple[float, Protector]:
        short = replace(mem, rounds=1, surrogate_steps=surrogate_steps, text_rounds=text_rounds)
        begin = time.perf_counter()
        protector = fit(small, replace(probe, mem=short))
        return time.perf_counter() - begin, protector

    seconds(1, 0)
    (base, _), (more, _), (words, protector) = seconds(1, 0), seconds(5, 0), seconds(1, 1)
    step = max(more - base, 0.0) / 4
    passes = window / len(small)
    noise, text = max(base - step, 0.0), max(words - base, 0.0)
    scale = recipe.fit.batch / len(small)
    total = mem.rounds * (mem.surrogate_steps * step * scale + noise * passes) + mem.text_rounds * text * passes
    return total, protector


def _protect_seconds(plan: Plan, protector: Protector, pairs: int) -> float:
    samples = list(islice(readable(plan.shards[0]), PROBE))
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        try_samples(samples[:1], protector, plan.publish, pool)  # loads what is loaded once
        begin = time.perf_counter()
        try_samples(samples, protector, plan.publish, pool)
    return (time.perf_counter() - begin) * pairs / max(1, len(samples))


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
