"""The comparison: every row, attacker and seed by one recipe; finished runs are stored for a restart."""

import json
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import protect
from protect.clip.device import autocast_type, choose_device, cores, use_precision
from protect.clip.retrieval import chance
from protect.files import write_whole
from protect.settings.verify import VerifySettings
from protect.verify.attackers.built_in import learns_from
from protect.verify.attackers.classification import class_chance
from protect.verify.attackers.train import attacker_size
from protect.verify.checks.quick import cheap
from protect.verify.countermeasures import COUNTERMEASURES
from protect.verify.reading.test_set import find_held_out
from protect.verify.records import CLEAN, MATCHED, PROTECTED, TEST, Arm, Cheap, Group, Run, Source
from protect.verify.report import save
from protect.verify.result import Comparison
from protect.verify.runs.build import digest
from protect.verify.runs.data import Data, scaled
from protect.verify.runs.plan import Plan, needless, strong_not_run, whole_plan, within
from protect.verify.runs.row import Row
from protect.verify.runs.run_store import RunStore
from protect.verify.runs.schedule import RowTrainings, Schedule, Training
from protect.verify.runs.sources import hashes, sample_pairs
from protect.verify.runs.timing import Stopwatch
from protect.verify.runs.workers import Workers

PACKAGES = ("torch", "open_clip_torch", "pillow", "webdataset")
RECIPE = ("epochs", "batch", "learning_rate", "weight_decay", "size", "augment", "pretrained", "device")


def compare(
    clean: str,
    protected: str,
    test: str | None,
    settings: VerifySettings,
    arms: Mapping[str, str] | None = None,
    out: Path | None = None,
    progress: Callable[[str], None] = lambda line: None,
    runs: Path | None = None,
) -> Comparison:
    """Trains every attacker on every row: the same keys, number of steps and recipe in all.

    Sources are as for `scrape`; `arms` are further protected files, by name. Without `test`, about a tenth of
    the keys of `clean` is held out of every row, and its clean pairs are the test. With `out`, finished runs are
    stored in out/runs.jsonl, where a hash of all that decides them finds them again, and the reports are written;
    `runs` is another folder for them, which several comparisons may share.
    Raises ValueError for data that cannot be compared.
    """
    begin, extra = perf_counter(), dict(arms or {})
    settings = replace(settings, device=str(choose_device(settings.device)))
    use_precision(choose_device(settings.device), settings.precision)
    plan = whole_plan(settings, extra)
    _check_names(plan, extra)
    sources = {CLEAN: clean, PROTECTED: protected, **extra}
    files = hashes(sources, test)
    checked, store = _checked(clean, protected, settings, progress), RunStore(runs or out)
    with TemporaryDirectory(prefix="protect-verify-") as folder, _workers(settings, progress) as workers:
        held_out, regimes = find_held_out(clean, test, settings.limit), [row.regime for row in plan.rows]
        data = Data.read(sources, files, settings, held_out, regimes, Path(folder))
        without = needless(plan, data.first.differences)
        plan = plan.only(row.name for row in plan.rows if row.name not in without)
        plan = _affordable(plan, data, settings, workers.jobs, out, begin)
        data = data.limited(plan.pairs)
        settings = replace(settings, seeds=plan.seeds, epochs=plan.epochs, limit=plan.pairs)
        groups = _groups(plan, data, settings)
        schedule = Schedule(data.materials, data.judged, settings, store, workers)
        schedule.run(groups)
    idle = {row.name for row in plan.rows} - {group.row.name for group in groups}
    rows = [row for row in plan.rows if row.name not in {*schedule.failed, *idle}]
    comparison = Comparison(
        settings=asdict(settings),
        versions=_versions(settings),
        test=Source(TEST, len(data.test), data.test.skipped, files[TEST]),
        arms=tuple(_arm(row, data, groups, store) for row in rows),
        chance=chance([len(captions) for captions in data.test.captions]) | class_chance(data.test.labels),
        runs=tuple(_runs(rows, groups, store)),
        cheap=checked,
        left_out=(*plan.left_out, *_left_out(schedule.failed, idle), *data.repeated),
        seconds=perf_counter() - begin,
        inapplicable=without,
        not_run=tuple(strong_not_run(rows)),
    )
    if out is not None:
        save(comparison, out, sample_pairs(clean, protected))
    return comparison


def check(
    clean: str,
    protected: str,
    settings: VerifySettings,
    out: Path | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> Comparison:
    """What the files show without any training, in seconds; with `out`, reports are written there."""
    begin = perf_counter()
    comparison = Comparison(
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
        save(comparison, out, sample_pairs(clean, protected))
    return comparison


def _checked(clean: str, protected: str, settings: VerifySettings, progress: Callable[[str], None]) -> Cheap:
    begin = perf_counter()
    size = max(attacker_size(name, settings) for name in settings.attackers)
    checked = cheap(clean, protected, size, settings.attackers)
    progress(f"checks without training: {perf_counter() - begin:.1f} s")
    return checked


def _check_names(plan: Plan, arms: Mapping[str, str]) -> None:
    reserved = {TEST, *COUNTERMEASURES, *(row.name for row in plan.rows if row.group is not Group.FURTHER)}
    if taken := sorted(name for name in arms if name in reserved or name.startswith(MATCHED)):
        raise ValueError(
            f"arms: expected names of their own, got {', '.join(taken)}, which the verifier uses; rename"
        )


def _workers(settings: VerifySettings, progress: Callable[[str], None]) -> Workers:
    device = choose_device(settings.device)
    jobs = settings.jobs or (cores() if device.type == "cpu" else 1)
    return Workers(jobs, device, progress)


def _affordable(plan: Plan, data: Data, settings: VerifySettings, jobs: int, out: Path | None, begin: float) -> Plan:
    """The plan, cut to what is left of the budget; stored beside the runs, so that a restart makes the same cut."""
    if settings.budget is None:
        return plan
    wanted = {k: v for k, v in asdict(settings).items() if k not in ("jobs", "require")}
    asked = digest(data.files, wanted, [row.name for row in plan.rows])
    path = None if out is None else out / "plan.json"
    if path is not None and path.exists():
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored.pop("asked") == asked:
            cut = plan.only(stored.pop("rows"))
            return replace(cut, **stored | {"left_out": tuple(stored["left_out"])})
    watch = Stopwatch(data, settings, jobs)

    def seconds(part: Plan) -> float:
        return perf_counter() - begin + watch.seconds(part)

    plan = within(plan, seconds, 60 * settings.budget, len(data.first.clean), settings.batch)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = {"asked": asked, "rows": [row.name for row in plan.rows]}
        numbers = {"seeds": plan.seeds, "epochs": plan.epochs, "pairs": plan.pairs, "left_out": plan.left_out}
        write_whole(path, json.dumps(rows | numbers, indent=1).encode())
    return plan


def _groups(plan: Plan, data: Data, settings: VerifySettings) -> list[RowTrainings]:
    """The trainings of every row and size, mandatory rows first."""
    groups = []
    for row in plan.rows:
        for size in dict.fromkeys(data.sizes.values()):
            at = scaled(size, row.regime)
            material, recipe = data.materials[at], row.regime.applied(settings, at)
            files = [data.files[name] for name in (CLEAN, row.reference, TEST)]
            hashed = [*files, len(data.test), data.held_out.from_clean]
            about = digest(hashed, material.clean.keys, row.content(material, settings))
            attackers = [name for name in data.sizes if data.sizes[name] == size and learns_from(name, row.regime)]
            trainings = tuple(
                Training(_identity(about, row, name, seed, recipe), row, name, seed)
                for name in attackers
                for seed in range(plan.seeds)
            )
            if trainings:
                groups.append(RowTrainings(row, at, len(material.clean) // recipe.batch, trainings))
    return groups


def _left_out(failed: Mapping[str, str], idle: Iterable[str]) -> Iterator[str]:
    yield from (f"{name}: {why}" for name, why in failed.items())
    yield from (f"{name}: changes nothing for attackers that do not train by steps" for name in sorted(idle))


def _identity(about: str, row: Row, attacker: str, seed: int, settings: VerifySettings) -> str:
    """A hash of what decides a run's outcome: data, recipe, attacker, seed, version of this tool."""
    recipe = {name: getattr(settings, name) for name in RECIPE}
    return digest(protect.__version__, about, recipe, row.regime.defence, row.transforms_test, attacker, seed)


def _runs(rows: Sequence[Row], groups: Sequence[RowTrainings], store: RunStore) -> list[Run]:
    """Of every row, its runs by attacker and seed; rows of equal content have the same ones."""
    names = {row.name for row in rows}
    trainings = [training for group in groups if group.row.name in names for training in group.trainings]
    runs = [(training, store.get(training.identity)) for training in trainings]
    return [replace(run, arm=training.row.name) for training, run in runs if run is not None]


def _arm(row: Row, data: Data, groups: Sequence[RowTrainings], store: RunStore) -> Arm:
    first = next(run for run in _runs([row], groups, store))
    return Arm(
        row.name,
        row.group,
        row.claim,
        first.pairs,
        first.skipped,
        data.files[row.reference],
        row.note(data.first.differences),
        row.deed,
        row.slow,
        row.percent,
        row.with_owner,
        first.dropped_pairs,
        first.dropped_words,
    )


def _versions(settings: VerifySettings) -> dict[str, str]:
    kind = autocast_type(choose_device(settings.device))
    packages = {name: version(name) for name in PACKAGES}
    own = {"protect": protect.__version__, "python": platform.python_version()}
    return own | packages | {"precision": str(kind or "torch.float32")}
