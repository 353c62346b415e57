"""What a run did, or would do, in a few lines."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from typing import Any

from protect.data.beside import samples_of
from protect.data.prepared import prepare
from protect.data.shards import readable
from protect.data.storage import size_of
from protect.data.window import Window
from protect.jobs.fit import window_of
from protect.jobs.plan import Plan
from protect.jobs.shard import try_samples
from protect.jobs.summary import counted
from protect.methods.parts.time_limit import rounds_within
from protect.methods.protector import Protector, fit
from protect.methods.recipe import Recipe
from protect.samples import Sample

PROBE = 32  # samples a dry run works on to estimate time


def estimate(plan: Plan, recipe: Recipe, protector: Protector | None, device: str = "auto") -> dict[str, Any]:
    """What the run would do, and how long it would take by a few timed steps on the first samples."""
    samples, first = _first_shard(plan)
    pairs, exact = _count(plan, first), len(plan.shards) == 1
    window = pairs if recipe.fit.window is None else min(pairs, recipe.fit.window)
    lines = [f"{counted(len(plan.shards), 'shard')}, {'' if exact else 'about '}{pairs} pairs -> {plan.out}"]
    fitting, new = 0.0, protector is None
    if protector is None:
        probe = replace(recipe, fit=replace(recipe.fit, window=PROBE, batch=min(PROBE, recipe.fit.batch)))
        reads = (partial(prepare, sample, plan.publish) for sample in samples)
        small = window_of(reads, probe, iter(plan.looks[plan.shards[0]].sizes), device)
        fitting, rounds, protector = _fit_seconds(small, probe, recipe, window, device)
        within = f", {rounds} of {recipe.own.rounds} rounds" if getattr(recipe.own, "budget", None) else ""
        lines.append(f"fit {recipe.fit.method} on {window} pairs: about {_minutes(fitting)}{within}")
    else:
        lines.append(f"protector {protector.hash[:12]} ({protector.recipe.fit.method})")
    later = pairs - window if new and protector.fitted.noise is not None else 0
    protecting = _protect_seconds(plan, samples, protector, pairs - later)
    if later:  # what the fit has not seen gets its noise in phase 2
        unseen = replace(protector, fitted=replace(protector.fitted, noise=None))
        protecting += _protect_seconds(plan, samples, unseen, later)
    lines.append(f"protect {pairs} pairs: about {_minutes(protecting)}")
    epsilon = protector.recipe.noise.epsilon
    lines += [f"largest change of a pixel: {epsilon} of 255", "nothing was written"]
    numbers = {"shards": len(plan.shards), "count": pairs, "exact": exact, "epsilon": epsilon}
    times = {"fit_seconds": round(fitting, 1), "protect_seconds": round(protecting, 1)}
    return numbers | times | {"out": str(plan.out), "text": "\n".join(lines)}


def _first_shard(plan: Plan) -> tuple[list[Sample], int]:
    """Its first samples, and how many it has."""
    stream = samples_of(plan.shards[0], plan.publish, readable(plan.shards[0]))
    samples = list(islice(stream, PROBE))
    return samples, sum(bool(sample.key) for sample in chain(samples, stream))


def _count(plan: Plan, first: int) -> int:
    """Pairs in all shards, from the first shard's count and all sizes."""
    sizes = [size_of(shard) for shard in plan.shards]
    return round(first * sum(sizes) / sizes[0])


def _fit_seconds(
    small: Window, probe: Recipe, recipe: Recipe, window: int, device: str
) -> tuple[float, int, Protector]:
    """Seconds of a fit, from timed rounds of one and of five surrogate steps; its rounds; what such a round made."""
    own = recipe.own
    if not recipe.method.needs_surrogate:
        return 0.0, 0, fit(small, probe, device=device)
    with_words = getattr(own, "text_rounds", 0)  # em searches no words

    def seconds(surrogate_steps: int, text_rounds: int) -> tuple[float, Protector]:
        short = replace(own, rounds=1, surrogate_steps=surrogate_steps, budget=None)
        if with_words:
            short = replace(short, text_rounds=text_rounds)
        begin = time.perf_counter()
        protector = fit(small, replace(probe, own=short), device=device)
        return time.perf_counter() - begin, protector

    seconds(1, 0)
    (base, _), (more, _), (words, protector) = seconds(1, 0), seconds(5, 0), seconds(1, 1)
    step = max(more - base, 0.0) / 4
    passes = window / len(small)
    noise, text = max(base - step, 0.0), max(words - base, 0.0)
    scale = recipe.fit.batch / len(small)
    plain, words_found = own.surrogate_steps * step * scale + noise * passes, text * passes
    longest = plain + words_found if with_words else plain
    rounds = rounds_within(own.budget, longest, own.rounds)
    return rounds * plain + min(rounds, with_words) * words_found, rounds, protector


def _protect_seconds(plan: Plan, samples: list[Sample], protector: Protector, pairs: int) -> float:
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        try_samples(samples[:1], protector, plan.publish, pool)  # loads what is loaded once
        begin = time.perf_counter()
        try_samples(samples, protector, plan.publish, pool)
    return (time.perf_counter() - begin) * pairs / max(1, len(samples))


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
