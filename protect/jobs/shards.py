"""The whole job: fit if need be, then protect shard after shard; killed at any moment it goes on where it was."""

import json
import math
import os
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from protect import __version__
from protect.data.captions import CaptionError
from protect.data.shard_list import ShardError
from protect.files import MARKER, PlanError, write_whole
from protect.jobs.fit import fit_on_shards
from protect.jobs.plan import Plan
from protect.jobs.progress import Report, ShardDone
from protect.jobs.shard import protect_shard
from protect.jobs.shard_stats import failed_stats, marker
from protect.methods.protector import Protector
from protect.methods.recipe import Recipe

JOB, PROTECTOR, ROUNDS = "job.json", "protector", "rounds"
SMALL = 128 * 128  # pixels of a picture that is not worth a thread of its own


def protect_shards(
    plan: Plan,
    recipe: Recipe,
    protector: Protector | None,
    report: Report = lambda event: None,
    device: str = "auto",
) -> list[dict[str, Any]]:
    """Runs the plan; returns the stats of all its finished shards, in order, with the shard's name.

    Without a protector, one is fitted on the input first and kept among the run's private files. Under
    torchrun every process takes its share of the shards.
    """
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if world > 1 and protector is None:
        raise PlanError("torchrun: expected --protector (several processes cannot fit one); run `protect fit` first")
    plan.make_folders()
    _claim(plan, recipe, protector)
    protector = protector or own_protector(plan, recipe, device, report)
    identity = plan.identity(protector.hash)
    mine = plan.shards[rank::world]
    done: dict[Path, dict[str, Any] | None] = {}
    threads = pictures_at_once(plan.looks[mine[0]].sizes if mine else ())
    with _one_thread_each(), ThreadPoolExecutor(max_workers=threads) as pool:
        for number, shard in enumerate(mine):
            stats, begin = finished(plan, shard, identity), time.time()
            if stats is None:
                stats = _protected(shard, plan, protector, identity, pool)
                _log(plan, shard, begin)
                report(ShardDone(plan.name(shard), stats, time.time() - begin, len(mine) - number - 1))
            else:
                report(ShardDone(plan.name(shard), stats, 0.0, len(mine) - number - 1))
            done[shard] = stats
    stats_of = {shard: done[shard] if shard in done else finished(plan, shard, identity) for shard in plan.shards}
    results = [{"shard": plan.name(shard), **stats} for shard, stats in stats_of.items() if stats is not None]
    if len(results) == len(plan.shards):
        done_well = [stats for stats in results if MARKER in stats]
        _write_manifest(plan, recipe if protector is None else protector.recipe, protector, done_well)
    return results


def _protected(shard: Path, plan: Plan, protector: Protector, identity: str, pool: ThreadPoolExecutor) -> dict:
    """Protects a shard; one that cannot be read or whose parquet cannot be written fails alone."""
    try:
        return protect_shard(shard, plan, protector, identity, pool)
    except (ShardError, CaptionError) as error:
        if plan.publish.on_error == "fail":
            raise
        return failed_stats(str(error).replace(f"{shard.parent}/", ""), plan.publish)


def pictures_at_once(sizes: Sequence[tuple[int, int]]) -> int:
    """Threads that decode and encode: small pictures are mostly Python's own work, which threads only hand about."""
    return 1 if sizes and max(map(math.prod, sizes)) <= SMALL else os.cpu_count() or 1


def _one_thread_each() -> threadpool_limits:
    """Pictures are spread over the cores already: a threaded matrix product in each would only get in the way."""
    return threadpool_limits(limits=1, user_api="blas")


def finished(plan: Plan, shard: Path, identity: str) -> dict[str, Any] | None:
    """The stats of a shard this very run has written and nobody has touched since, else None."""
    try:
        stats = json.loads(plan.stats(shard).read_bytes())
        ours = stats[MARKER]["run"] == identity and plan.records(shard).exists()
        if ours and stats[MARKER] == marker(plan, shard, identity):
            return stats
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def own_protector(plan: Plan, recipe: Recipe, device: str, report: Report) -> Protector:
    """The protector among the run's private files, fitted on the input at the first call."""
    folder = plan.private / PROTECTOR
    if folder.exists():
        return Protector.load(folder, device)
    rounds = plan.private / ROUNDS
    protector = fit_on_shards(plan.shards, recipe, plan.publish, report, device, plan.looks, rounds)
    protector.save(folder)
    shutil.rmtree(rounds, ignore_errors=True)
    return protector


def _claim(plan: Plan, recipe: Recipe, protector: Protector | None) -> None:
    """Writes down what this run is, or checks that the folder belongs to the same one."""
    job = {
        "version": __version__,
        "shards": [[str(shard.absolute()), plan.name(shard)] for shard in plan.shards],
        "publish": asdict(plan.publish),
        "protector": protector.hash if protector else None,
        "recipe": (protector.recipe if protector else recipe).to_dict(),
    }
    job = json.loads(json.dumps(job))
    path = plan.private / JOB
    before = json.loads(path.read_bytes()) if path.exists() else {}
    changed = sorted(name for name in job if job[name] != before.get(name))
    if before and changed and any(plan.out.glob("*_stats.json")):
        raise PlanError(
            f"OUT: expected a new folder or the same run again, got {plan.out} of a run with other "
            f"{', '.join(changed)}; choose another OUT"
        )
    if not before or _fits_on(before) != _fits_on(job):  # an attempt that ended before its first shard
        for part in (PROTECTOR, ROUNDS):
            shutil.rmtree(plan.private / part, ignore_errors=True)
    if changed:
        write_whole(path, json.dumps(job, indent=2).encode(), mode=0o600)


def _fits_on(job: dict[str, Any]) -> list[Any]:
    """The part of a job that decides what is fitted."""
    publish = job["publish"]
    parts = [job[name] for name in ("version", "shards", "protector", "recipe")]
    return [*parts, publish["caption_keys"], publish["max_pixels"]]


def _log(plan: Plan, shard: Path, begin: float) -> None:
    """Times of each shard, for people; the only file that differs between a run and its repetition."""
    line = {"shard": plan.name(shard), "start_time": begin, "end_time": time.time()}
    with (plan.home / "log.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")


def _write_manifest(plan: Plan, recipe: Recipe, protector: Protector, results: list[dict[str, Any]]) -> None:
    names = ("count", "protected", "failed_to_protect", "linf", "psnr", "ssim")
    lines = [
        {"shard": stats["shard"], "sha256": stats[MARKER]["sha256"], **{name: stats[name] for name in names}}
        for stats in results
    ]
    about = {
        "version": __version__,
        "method": recipe.fit.method,
        "epsilon": recipe.noise.epsilon,
        "publish": asdict(plan.publish),
        "protector": protector.hash,
    }
    write_whole(plan.home / "run.json", json.dumps(about, indent=2).encode())
    write_whole(plan.home / "manifest.jsonl", "".join(json.dumps(line) + "\n" for line in lines).encode())
