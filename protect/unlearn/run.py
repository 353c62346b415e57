"""The job: read, judge, forget, judge again, save; what `protect unlearn` and the benchmark call."""

import json
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

import protect
from protect.clip.device import choose_device, use_precision
from protect.files import write_whole
from protect.seeds import derive, generator
from protect.settings.unlearn import ForgetSettings, UnlearnSettings
from protect.unlearn.checkpoint import check_trained, load_model, save_model
from protect.unlearn.head import Clip
from protect.unlearn.judge import accuracy, embed_texts, gap, judge, membership, prompts, similarities
from protect.unlearn.loop import Course, Loop, Task
from protect.unlearn.lora import add_lora, fold_lora
from protect.unlearn.methods import METHODS
from protect.unlearn.pairs import Classes, Pairs, classes_of, read_pairs
from protect.unlearn.redirection import redirection
from protect.unlearn.safe_twins import find_twins

DEFAULT = ForgetSettings()
RESULT, STATE = "unlearn.json", "state.pt"
JUDGED = 2000  # pairs of a set that are judged, at most
PACKAGES = ("torch", "open_clip_torch", "transformers")

Report = Callable[[str], None]


@dataclass(frozen=True)
class Sources:
    """Where pairs come from: shards or folders of photos. Without test sets the pairs themselves are judged.

    far: pairs of another domain that the model knows too, never trained on here.
    """

    forget: tuple[str, ...]
    retain: tuple[str, ...]
    forget_test: tuple[str, ...] = ()
    retain_test: tuple[str, ...] = ()
    far: tuple[str, ...] = ()


@dataclass(frozen=True)
class Result:
    """A run's outcome. before, after: see `judge`, by set; other figures are None where they need more data.

    distance: from the retrained model, see `gap`. texts_kept: share of the classes' captions that the original's
    classes still claim. retrained_accuracy: of the retrained model on the forget set. redirection: of unsafe
    queries, see `redirection`, for methods that take twins.
    """

    model: str
    method: str
    geometry: str
    pairs: dict[str, int]
    chance: float | None
    before: dict[str, dict[str, float]]
    after: dict[str, dict[str, float]]
    membership: dict[str, float | None]
    distance: dict[str, float | None]
    texts_kept: dict[str, float] | None
    redirection: dict[str, dict[str, float]] | None
    course: Course
    time_share: float | None
    original: str
    loads: str
    retrained_accuracy: float | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Data:
    """Everything read once: the task, and the sets that models are judged on."""

    task: Task
    sets: dict[str, Pairs]
    held_out: Pairs | None

    @property
    def classes(self) -> Classes | None:
        return self.task.classes


def read_data(sources: Sources, size: int, limit: int | None = None, twins: bool = False, seed: int = 0) -> Data:
    """All pairs at one size; raises ValueError where a source has none."""
    forget, retain = (read_pairs(source, size, limit) for source in (sources.forget, sources.retain))
    tests = {
        name: read_pairs(source, size, limit)
        for name, source in (("forget", sources.forget_test), ("retain", sources.retain_test), ("far", sources.far))
        if source
    }
    classes = classes_of(forget, retain, *tests.values())
    task = Task(forget, retain, classes, find_twins(forget, retain, seed) if twins else None)
    sets = {"forget": forget, "retain": retain} | tests
    return Data(task, {name: _some(pairs) for name, pairs in sets.items()}, tests.get("forget"))


def unlearn(
    model: str,
    weights: str | None,
    sources: Sources,
    settings: UnlearnSettings,
    out: Path,
    losses: ForgetSettings = DEFAULT,
    retrained: str | None = None,
    report: Report = lambda line: None,
) -> Result:
    """Makes the model forget, writes it to `out` with `unlearn.json`; a stopped run goes on from `out`.

    retrained: the `out` of a run of method `retrain`, to compare with.
    Raises ValueError for models, data or settings that do not fit together.
    """
    method, device = METHODS[settings.method], choose_device(settings.device)
    use_precision(device, settings.precision)
    original, student = _two_copies(model, weights, settings, device)
    data = read_data(sources, original.towers.size, settings.limit, method.twins, settings.seed)
    loop = Loop(student, original, data.task, settings, losses)
    gold = load_model(model, retrained, device, size=settings.size) if retrained else None
    report(f"{settings.method}: {len(data.task.forget)} pairs to forget, {len(data.task.retain)} to keep")
    out.mkdir(parents=True, exist_ok=True)
    course = loop.run(out / STATE, report)
    if settings.lora and not method.fresh:
        fold_lora(student)
    loads = save_model(student, out, model)
    result = Result(
        model=model,
        method=settings.method,
        geometry=student.geometry,
        pairs={name: len(pairs) for name, pairs in data.sets.items()},
        chance=None if data.classes is None else 1 / len(data.classes.names),
        **_figures(original, student, gold, data, method.twins),
        course=course,
        time_share=_time_share(course, retrained, device),
        original=original.fingerprint(),
        loads=str(loads),
        settings=asdict(settings) | {"losses": asdict(losses), "weights": weights, **asdict(sources)},
        versions=_versions(device),
    )
    write_whole(out / RESULT, (json.dumps(asdict(result), indent=1) + "\n").encode())
    (out / STATE).unlink(missing_ok=True)
    return result


def _two_copies(
    model: str, weights: str | None, settings: UnlearnSettings, device: torch.device
) -> tuple[Clip, Clip]:
    """The original and the student, which share nothing: additions are injected in place."""
    if not METHODS[settings.method].fresh:
        check_trained(model, weights)
    original = load_model(model, weights, device, settings.geometry, settings.size, settings.seed)
    if METHODS[settings.method].fresh:
        seed = derive(settings.seed, "fresh")
        return original, load_model(model, None, device, original.geometry, settings.size, seed, scratch=True)
    student = load_model(model, weights, device, settings.geometry, settings.size, settings.seed)
    if settings.lora:
        add_lora(student, settings)
    return original, student


def _figures(original: Clip, student: Clip, gold: Clip | None, data: Data, twins: bool) -> dict[str, Any]:
    """The measured fields of a Result."""
    sides = (("before", original), ("after", student))
    return {
        "before": judge(original, data.sets, data.classes),
        "after": judge(student, data.sets, data.classes),
        "membership": {name: _membership(model, data) for name, model in sides},
        "distance": {name: _distance(model, gold, data) for name, model in sides},
        "texts_kept": _texts_kept(original, student, data.classes),
        "retrained_accuracy": None if gold is None else accuracy(gold, data.sets["forget"], data.classes),
        "redirection": _redirection(original, student, data) if twins else None,
    }


def load_result(folder: Path) -> Result:
    """The result that a run left in its folder; raises ValueError when there is none."""
    try:
        values = json.loads((folder / RESULT).read_text())
        return Result(**(values | {"course": Course(**values["course"])}))
    except (OSError, TypeError, KeyError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{folder}: expected the {RESULT} of an unlearning run, found {error}; run it first"
        ) from error


def _some(pairs: Pairs) -> Pairs:
    """At most JUDGED of the pairs, the same ones every time; at random, for classes may come in turn."""
    if len(pairs) <= JUDGED:
        return pairs
    return pairs.select(torch.randperm(len(pairs), generator=generator(0, "judged"))[:JUDGED].sort().values.tolist())


def _membership(model: Clip, data: Data) -> float | None:
    return None if data.held_out is None else membership(model, _some(data.task.forget), _some(data.held_out))


def _distance(model: Clip, gold: Clip | None, data: Data) -> float | None:
    if gold is None:
        return None
    gaps = [gap(model, gold, data.sets[name], data.classes) for name in ("forget", "retain")]
    return sum(gaps) / len(gaps)


def _texts_kept(original: Clip, student: Clip, classes: Classes | None) -> dict[str, float] | None:
    if classes is None:
        return None
    with torch.no_grad():
        heads, shares = prompts(original, classes), {}
        for name, model in (("before", original), ("after", student)):
            right = [
                (similarities(original, embed_texts(model, captions), heads).argmax(dim=1) == number)
                for number, captions in enumerate(classes.prompts)
            ]
            shares[name] = torch.cat(right).float().mean().item()
    return shares


def _redirection(original: Clip, student: Clip, data: Data) -> dict[str, dict[str, float]]:
    unsafe, safe = data.sets["forget"], data.sets["retain"]
    twins = find_twins(unsafe, safe)
    return {
        name: redirection(model, unsafe, safe, twins) for name, model in (("before", original), ("after", student))
    }


def _time_share(course: Course, retrained: str | None, device: torch.device) -> float | None:
    """By the processor where that does the work: other programs do not slow it down."""
    if not retrained:
        return None
    gold = load_result(Path(retrained)).course
    if device.type == "cpu":
        return course.cpu_seconds / gold.cpu_seconds
    return course.seconds / gold.seconds


def _versions(device: torch.device) -> dict[str, str]:
    versions = {name: version(name) for name in PACKAGES}
    return {"protect": protect.__version__, "python": platform.python_version(), "device": str(device)} | versions
