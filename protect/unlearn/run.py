"""The job: read, judge, forget, judge again, save; what `protect unlearn` and the benchmark call."""

import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

import torch

import protect
from protect.clip.device import choose_device, use_precision
from protect.files import write_whole
from protect.seeds import derive
from protect.settings.unlearn import ForgetSettings, UnlearnSettings
from protect.unlearn.assess import Models, Sources, assess, draw_similarities, read_data, with_neighbours
from protect.unlearn.checkpoint import check_trained, load_model, save_model
from protect.unlearn.head import Clip
from protect.unlearn.loop import Course, Loop
from protect.unlearn.lora import add_lora, fold_lora
from protect.unlearn.methods import METHODS
from protect.unlearn.model_file import named
from protect.unlearn.result import RESULT, Result, load_result

DEFAULT = ForgetSettings()
STATE, PICTURE, CHANGE = "state.pt", "similarity.png", "change.png"
PACKAGES = ("torch", "open_clip_torch", "transformers")

Report = Callable[[str], None]
Trace = Callable[[Clip], float]  # p-value of "this model never saw the owner's published files", by a receipt


def unlearn(
    model: str,
    weights: str | None,
    sources: Sources,
    settings: UnlearnSettings,
    out: Path,
    losses: ForgetSettings = DEFAULT,
    retrained: Sequence[str] = (),
    report: Report = lambda line: None,
    trace: Trace | None = None,
) -> Result:
    """Makes the model forget, writes it to `out` with `unlearn.json`; a stopped run goes on from `out`.

    retrained: the `out` of runs of method `retrain`, to compare with: the first is the standard, further ones (of
    other seeds) show how far two retrained models are apart and calibrate the attacks. trace: asked of every model.
    Raises ValueError for models, data or settings that do not fit together.
    """
    model, weights, size = named(model, weights, settings.size)
    settings = replace(settings, size=size)
    method, device = METHODS[settings.method], choose_device(settings.device)
    use_precision(device, settings.precision)
    original, student = _two_copies(model, weights, settings, device)
    data = read_data(sources, original.towers.size, settings.limit, method.twins, settings.seed)
    loop = Loop(student, original, data.task, settings, losses)
    gold = tuple(load_model(model, each, device, size=settings.size) for each in retrained)
    data = with_neighbours(data, original)
    report(f"{settings.method}: {len(data.task.forget)} pairs to forget, {len(data.task.retain)} to keep")
    out.mkdir(parents=True, exist_ok=True)
    course = loop.run(out / STATE, report)
    if settings.lora and not method.fresh:
        fold_lora(student)
    loads = save_model(student, out, model)
    models = Models(original, student, gold)
    draw_similarities(models, data, out / PICTURE, out / CHANGE)
    report("judging")
    result = Result(
        model=model,
        method=settings.method,
        geometry=student.geometry,
        pairs={name: len(pairs) for name, pairs in data.sets.items()},
        chance=None if data.classes is None else 1 / len(data.classes.names),
        **assess(models, data, settings, method.twins),
        receipt=None if trace is None else {name: trace(side) for name, side in models.by_moment().items()},
        course=course,
        time_share=_time_share(course, retrained[0], device) if retrained else None,
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


def _time_share(course: Course, retrained: str, device: torch.device) -> float:
    """By the processor where that does the work: other programs do not slow it down."""
    gold = load_result(Path(retrained)).course
    if device.type == "cpu":
        return course.cpu_seconds / gold.cpu_seconds
    return course.seconds / gold.seconds


def _versions(device: torch.device) -> dict[str, str]:
    versions = {name: version(name) for name in PACKAGES}
    return {"protect": protect.__version__, "python": platform.python_version(), "device": str(device)} | versions
