"""The comparison: every row, attacker and seed by one recipe; finished runs are kept for a restart."""

import json
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import protect
from protect.clip.device import autocast_type
from protect.clip.models import choose_device
from protect.clip.retrieval import chance
from protect.files import write_whole
from protect.settings.verify import VerifySettings
from protect.verify.attackers.train import attacker_size
from protect.verify.checks.quick import cheap
from protect.verify.countermeasures import COUNTERMEASURES
from protect.verify.reading.test_set import find_unseen
from protect.verify.report import save
from protect.verify.result import (
    CLEAN,
    MANDATORY,
    PROTECTED,
    TEST,
    TWIN,
    Arm,
    Cheap,
    Comparison,
    Run,
    Source,
    mix_names,
)
from protect.verify.runs.build import content, digest
from protect.verify.runs.controls import inapplicable, notes
from protect.verify.runs.data import _Data
from protect.verify.runs.plan import Plan, Row, whole_plan, within
from protect.verify.runs.run_store import RunStore
from protect.verify.runs.schedule import Group, Schedule, Training
from protect.verify.runs.sources import hashes, sample_pairs
from protect.verify.runs.timing import Stopwatch
from protect.verify.runs.workers import Workers, cores

PACKAGES = ("torch", "open_clip_torch", "pillow", "webdataset")
RECIPE = ("epochs", "batch", "learning_rate", "weight_decay", "size", "pretrained", "device")


def compare(
    clean: str,
    protected: str,
    test: str | None,
    settings: VerifySettings,
    arms: Mapping[str, str] | None = None,
    out: Path | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> Comparison:
    """Trains every attacker on every row: the same keys, number of steps and recipe in all.

    Sources are as for `scrape`; `arms` are further protected files, by name. Without `test`, about a tenth of
    the keys of `clean` is held out of every arm, and its clean pairs are the test. With `out`, finished runs are
    kept in out/runs.jsonl, where a hash of all that decides them finds them again, and the reports are written.
    Raises ValueError for data that cannot be compared.
    """
    begin, extra = perf_counter(), dict(arms or {})
    settings = replace(settings, device=str(choose_device(settings.device)))
    plan = whole_plan(settings, extra)
    _check_names(plan, extra)
    sources = {CLEAN: clean, PROTECTED: protected, **extra}
    files = hashes(sources, test)
    checked, kept = _checked(clean, protected, settings, progress), RunStore(out)
    with TemporaryDirectory(prefix="protect-verify-") as folder, _workers(settings, progress) as workers:
        data = _Data.read(sources, files, settings, find_unseen(clean, test, settings.limit), Path(folder))
        without = inapplicable(data.first.found)
        plan = replace(plan, rows=tuple(row for row in plan.rows if row.name not in without))
        plan = _affordable(plan, data, settings, workers.jobs, out)
        data = data.limited(plan.pairs)
        settings = replace(settings, seeds=plan.seeds, epochs=plan.epochs, limit=plan.pairs)
        groups = _groups(plan, data, settings)
        schedule = Schedule(data.materials, data.judged, settings, kept, workers)
        schedule.run(groups)
    rows = [row for row in plan.rows if row.name not in schedule.failed]
    found = Comparison(
        settings=asdict(settings),
        versions=_versions(settings),
        test=Source(TEST, len(data.test), data.test.skipped, files[TEST]),
        arms=tuple(_arm(row, data, groups, kept) for row in rows),
        chance=chance([len(captions) for captions in data.test.captions]),
        runs=tuple(_runs(rows, groups, kept)),
        cheap=checked,
        left_out=(*plan.left_out, *(f"{name}: {why}" for name, why in schedule.failed.items()), *data.repeated),
        seconds=perf_counter() - begin,
        inapplicable=without,
    )
    if out is not None:
        save(found, out, sample_pairs(clean, protected))
    return found


def check(
    clean: str,
    protected: str,
    settings: VerifySettings,
    out: Path | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> Comparison:
    """What the files show without any training, in seconds; with `out`, reports are written there."""
    begin = perf_counter()
    found = Comparison(
        settings=asdict(settings),
        versions=_versions(settings),
        test=Source(TEST, 0, 0, {}),
        arms=(),
        chance={},
        runs=(),
        cheap=_checked(clean, protected, settings, progress),
        seconds=perf_counter() - begin,
    )
    if out is not None:
        save(found, out, sample_pairs(clean, protected))
    return found


def _checked(clean: str, protected: str, settings: VerifySettings, progress: Callable[[str], None]) -> Cheap:
    begin = perf_counter()
    size = max(attacker_size(name, settings) for name in settings.attackers)
    found = cheap(clean, protected, size, settings.attackers)
    progress(f"checks without training: {perf_counter() - begin:.1f} s")
    return found


def _check_names(plan: Plan, arms: Mapping[str, str]) -> None:
    reserved = {TEST, *MANDATORY, *COUNTERMEASURES, *(row.name for row in plan.rows if row.group == "dilution")}
    if taken := sorted(name for name in arms if name in reserved or name.startswith(TWIN)):
        raise ValueError(
            f"arms: expected names of their own, got {', '.join(taken)}, which the verifier uses; rename"
        )


def _workers(settings: VerifySettings, progress: Callable[[str], None]) -> Workers:
    device = choose_device(settings.device)
    jobs = settings.jobs or (cores() if device.type == "cpu" else 1)
    return Workers(jobs, device, progress)


def _affordable(plan: Plan, data: _Data, settings: VerifySettings, jobs: int, out: Path | None) -> Plan:
    """The plan, cut to the budget if there is one; kept beside the runs, so that a restart cuts alike."""
    if not settings.budget:
        return plan
    wanted = {k: v for k, v in asdict(settings).items() if k not in ("jobs", "require")}
    without = sorted(inapplicable(data.first.found))
    asked = digest(data.files, wanted, *([without] if without else []))
    path = None if out is None else out / "plan.json"
    if path is not None and path.exists():
        known = json.loads(path.read_text(encoding="utf-8"))
        if known.pop("asked") == asked:
            return Plan(
                tuple(Row(**row) for row in known.pop("rows")), **known | {"left_out": tuple(known["left_out"])}
            )
    trained = {name: (data.materials[size].clean, data.judged[size]) for name, size in data.sizes.items()}
    watch = Stopwatch(trained, settings, jobs)
    plan = within(plan, watch.seconds, 60 * settings.budget, len(data.first.clean), settings.batch)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps({"asked": asked, **asdict(plan)}, indent=1).encode())
    return plan


def _groups(plan: Plan, data: _Data, settings: VerifySettings) -> list[Group]:
    """The trainings of every row and size, mandatory rows first."""
    groups = []
    for row in plan.rows:
        for size, material in data.materials.items():
            files = [data.files[name] for name in (CLEAN, _source(row), TEST)]
            hashed = [*files, len(data.test), data.unseen.held_out]
            about = digest(hashed, material.clean.keys, content(row, material, settings))
            attackers = [name for name in data.sizes if data.sizes[name] == size]
            trainings = tuple(
                Training(_identity(about, row, name, seed, settings), row, name, seed)
                for name in attackers
                for seed in range(plan.seeds)
            )
            groups.append(Group(row, size, len(material.clean) // settings.batch, trainings))
    return groups


def _identity(about: str, row: Row, attacker: str, seed: int, settings: VerifySettings) -> str:
    """A hash of what decides a run's outcome: data, recipe, attacker, seed, version of this tool."""
    recipe = {name: getattr(settings, name) for name in RECIPE} | {"epochs": row.times * settings.epochs}
    view = row.view or settings.augment
    return digest(protect.__version__, about, recipe, view, row.lesson, attacker, seed)


def _runs(rows: Sequence[Row], groups: Sequence[Group], kept: RunStore) -> list[Run]:
    """Of every row, its runs by attacker and seed; rows of equal content have the same ones."""
    names = {row.name for row in rows}
    trainings = [training for group in groups if group.row.name in names for training in group.trainings]
    found = [(training, kept.get(training.identity)) for training in trainings]
    return [replace(run, arm=training.row.name) for training, run in found if run is not None]


def _arm(row: Row, data: _Data, groups: Sequence[Group], kept: RunStore) -> Arm:
    first = next(run for run in _runs([row], groups, kept))
    said = notes(data.first.found).get(row.name, "")
    if row.group == "countermeasure":
        said = COUNTERMEASURES[row.name].help
    elif row.group == "twin":
        said = f"clean files; {COUNTERMEASURES[row.name.removeprefix(TWIN)].help}"
    elif row.group == "dilution":
        rest = "the others clean" if row.name.startswith("mix") else "the owner's pairs left out"
        said = f"{row.percent:g} % of the pairs are the owner's; {rest}"
    elif row.group == "extra":
        said = "further files, as published"
    dropped = first.dropped_pairs, first.dropped_words
    return Arm(row.name, row.group, row.claim, first.pairs, first.skipped, data.files[_source(row)], said, *dropped)


def _source(row: Row) -> str:
    """Whose pictures a row has, beside clean ones."""
    if row.group == "extra":
        return row.name
    of_clean = row.name in MANDATORY[:3] or row.group == "twin" or row.name == mix_names(row.percent)[1]
    return CLEAN if of_clean else PROTECTED


def _versions(settings: VerifySettings) -> dict[str, str]:
    kind = autocast_type(choose_device(settings.device))
    packages = {name: version(name) for name in PACKAGES}
    own = {"protect": protect.__version__, "python": platform.python_version()}
    return own | packages | {"precision": str(kind or "torch.float32")}
