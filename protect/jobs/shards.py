"""The whole job: fit if need be, then protect shard after shard; killed at any moment it goes on where it was."""

import json
import math
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from protect import __version__
from protect.data.scratch import folder_at_hand, scratch
from protect.data.storage import Place, absolute, write_file
from protect.files import MARKER, PlanError
from protect.jobs import executors
from protect.jobs.executors import Distribution, Work
from protect.jobs.failures import Failures
from protect.jobs.fit import fit_on_shards
from protect.jobs.layout import DONE, JOB, PRIVATE
from protect.jobs.lock import only_one
from protect.jobs.parts import Part, part_of
from protect.jobs.plan import Plan
from protect.jobs.progress import Pace, Pictures, Report, ShardDone
from protect.jobs.reference import ShardReference
from protect.jobs.results import are_all_written, results_of
from protect.methods.protector import ABOUT, Protector
from protect.methods.recipe import Recipe

PROTECTOR, ROUNDS = "protector", "rounds"
SMALL = 128 * 128  # pixels of a picture that is not worth a thread of its own


def protect_shards(
    plan: Plan,
    recipe: Recipe,
    protector: Protector | None,
    report: Report = lambda event: None,
    device: str = "auto",
    how: Distribution | None = None,
) -> list[dict[str, Any]]:
    """Runs the plan; returns the stats of all its finished shards, in order, with the shard's name.

    Without a protector, one is fitted on the input first and kept among the run's private files. Of a run in parts,
    or under torchrun, every process takes its share of the shards, and the last one writes the manifest.
    """
    how = how or Distribution()
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    part = part_of(how.part)
    if protector is None and (world > 1 or part):
        who = "torchrun" if world > 1 else "--part"
        raise PlanError(f"{who}: expected --protector (several processes cannot fit one); run `protect fit` first")
    if part and part.said_by:
        report(f"part {part} of the shards, as {part.said_by} says")
    plan.make_folders()
    with only_one(plan.private, str(part) if part else f"rank {rank} of {world}" if world > 1 else None):
        _claim(plan, recipe, protector, part)
        protector_used = protector or own_protector(plan, recipe, device, report)
        failures = Failures.of(plan.out)
        mine = [shard for shard in plan.shards if part is None or part.holds(plan.name(shard))][rank::world]
        if how.retry_failed:
            mine = [shard for shard in mine if plan.name(shard) in failures.known]
        identity = plan.identity(protector_used.hash)
        done = _run(plan, mine, protector_used, identity, how, failures, part, report)
        if part is not None:
            if are_all_written(plan):
                _finish(plan, recipe, protector_used, results_of(plan, done, identity))
            return results_of(replace(plan, shards=tuple(mine)), done, identity)
        results = results_of(plan, done, identity)
        _finish(plan, recipe if protector is None else protector.recipe, protector_used, results)
    return results


def _run(
    plan: Plan,
    shards: Sequence[Place],
    protector: Protector,
    identity: str,
    how: Distribution,
    failures: Failures,
    part: Part | None,
    report: Report,
) -> dict[str, dict[str, Any]]:
    """Protects the shards; the stats of each by its name."""
    references = [ShardReference(shard, plan.out, plan.name(shard), identity) for shard in shards]
    threads = pictures_at_once(plan.looks[shards[0]].sizes if shards else ())

    def tick(name: str, pictures: int) -> None:
        report(Pictures(name, pictures))

    done, pace = dict[str, dict[str, Any]](), Pace(len(references))
    for ended in executors.run(Work(references, protector, plan.publish, how, threads, tick)):
        done[ended.name] = ended.stats
        left = pace.count(bool(ended.seconds))
        failures.note(ended.name, ended.failure)
        if ended.seconds:
            _log(plan, ended.name, ended.seconds, part)
        report(ShardDone(ended.name, ended.stats, ended.seconds, pace.left, left, ended.failure))
    return done


def pictures_at_once(sizes: Sequence[tuple[int, int]]) -> int:
    """Threads that decode and encode: small pictures are mostly Python's own work, which threads only hand about."""
    return 1 if sizes and max(map(math.prod, sizes)) <= SMALL else os.cpu_count() or 1


def own_protector(plan: Plan, recipe: Recipe, device: str, report: Report) -> Protector:
    """The protector among the run's private files, fitted on the input at the first call."""
    folder, rounds = plan.private / PROTECTOR, plan.private / ROUNDS
    if folder.is_dir():
        return Protector.load(folder_at_hand(folder), device)
    kept = rounds if isinstance(rounds, Path) else None  # in object storage a fit that is killed begins anew
    protector = fit_on_shards(plan.shards, recipe, plan.publish, report, device, plan.looks, kept)
    save_protector(protector, folder)
    _remove(rounds)
    return protector


def save_protector(protector: Protector, folder: Place) -> None:
    """Saves a protector; in object storage the file that it is known by comes last."""
    if isinstance(folder, Path):
        protector.save(folder)
        return
    with scratch() as local:
        protector.save(local / PROTECTOR)
        for path in sorted((local / PROTECTOR).iterdir(), key=lambda path: path.name == ABOUT):
            (folder / path.name).upload(path)


def _claim(plan: Plan, recipe: Recipe, protector: Protector | None, part: Part | None) -> None:
    """Writes down what this run is, or checks that the folder belongs to the same one."""
    job = {
        "version": __version__,
        "shards": [[absolute(shard), plan.name(shard)] for shard in plan.shards],
        "publish": asdict(plan.publish),
        "protector": protector.hash if protector else None,
        "recipe": (protector.recipe if protector else recipe).to_dict(),
    }
    job = json.loads(json.dumps(job))
    path = plan.private / JOB
    before = json.loads(path.read_bytes()) if path.exists() else {}
    changed = sorted(name for name in job if job[name] != before.get(name))
    if before and changed and _has_begun(plan.out):
        raise PlanError(
            f"OUT: expected a new folder or the same run again, got {plan.out} of a run with other "
            f"{', '.join(changed)}; choose another OUT"
        )
    if not before or _fits_on(before) != _fits_on(job):  # an attempt that ended before its first shard
        for name in (PROTECTOR, ROUNDS):
            _remove(plan.private / name)
    if changed:
        write_file(path, json.dumps(job, indent=2).encode(), 0o600, _writer(part))


def _writer(part: Part | None) -> str:
    """Who writes a file that all parts write."""
    return f".{part.index}-of-{part.count}" if part else ""


def _has_begun(out: Place) -> bool:
    if isinstance(out, Path):
        return any(out.glob("*_stats.json"))
    return any(file.name.endswith(DONE) for file in (out / PRIVATE).files())


def _remove(folder: Place) -> None:
    if isinstance(folder, Path):
        shutil.rmtree(folder, ignore_errors=True)
    else:
        for file in folder.files():
            file.unlink()


def _fits_on(job: dict[str, Any]) -> list[Any]:
    """The part of a job that decides what is fitted."""
    publish = job["publish"]
    parts = [job[name] for name in ("version", "shards", "protector", "recipe")]
    return [*parts, publish["caption_keys"], publish["max_pixels"]]


def _log(plan: Plan, name: str, seconds: float, part: Part | None) -> None:
    """Times of each shard, for people and `protect status`; the only file that differs when a run is repeated."""
    if isinstance(plan.home, Path):  # markers hold the times in object storage, which cannot add to a file
        now = time.time()
        line = {"shard": name, "start_time": now - seconds, "end_time": now}
        with (plan.home / f"log{_writer(part)}.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")


def _finish(plan: Plan, recipe: Recipe, protector: Protector, results: list[dict[str, Any]]) -> None:
    """Writes the manifest once all shards are done or have failed."""
    if len(results) != len(plan.shards):
        return
    names = ("count", "protected", "failed_to_protect", "linf", "psnr", "ssim")
    lines = [
        {"shard": stats["shard"], "sha256": stats[MARKER]["sha256"], **{name: stats[name] for name in names}}
        for stats in results
        if MARKER in stats
    ]
    about = {
        "version": __version__,
        "method": recipe.fit.method,
        "epsilon": recipe.noise.epsilon,
        "publish": asdict(plan.publish),
        "protector": protector.hash,
    }
    write_file(plan.home / "run.json", json.dumps(about, indent=2).encode())
    write_file(plan.home / "manifest.jsonl", "".join(json.dumps(line) + "\n" for line in lines).encode())
