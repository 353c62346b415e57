"""Everything measured of a model before and after the forgetting, and of models that never saw the forget pairs."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from protect.seeds import generator
from protect.settings.unlearn import UnlearnSettings
from protect.unlearn.attacks import Attack, attacks
from protect.unlearn.calibration import Calibration, calibration
from protect.unlearn.head import Clip
from protect.unlearn.judge import embed, embed_texts, gap, judge, knowledge, prompts, similarities
from protect.unlearn.neighbours import neighbours
from protect.unlearn.outside import Fall, fall
from protect.unlearn.pairs import Classes, Pairs, classes_of, read_pairs
from protect.unlearn.redirection import redirection
from protect.unlearn.relearning import BACK, Relearning, relearn
from protect.unlearn.result import forgotten_set
from protect.unlearn.safe_twins import find_twins
from protect.unlearn.similarity_picture import draw, shown_matrix
from protect.unlearn.task import Task

JUDGED = 2000  # pairs of a set that are judged, at most
KINDRED = ("forget", "retain", "near")  # sets whose pairs are of the classes; other sets may be about anything


@dataclass(frozen=True)
class Sources:
    """Where pairs come from: shards or folders of photos. Without test sets the pairs themselves are judged.

    near: pairs like those to forget that must be kept. facts: the forgotten pictures with captions of something else.
    far: pairs of another domain that the model knows too. None of these three is trained on.
    """

    forget: tuple[str, ...]
    retain: tuple[str, ...]
    forget_test: tuple[str, ...] = ()
    retain_test: tuple[str, ...] = ()
    near: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    far: tuple[str, ...] = ()


@dataclass(frozen=True)
class Data:
    """Everything read once: the task, and the sets that models are judged on."""

    task: Task
    sets: dict[str, Pairs]

    @property
    def classes(self) -> Classes | None:
        return self.task.classes


@dataclass(frozen=True)
class Models:
    """The model before and after, and models retrained without the forget pairs: the first is the standard."""

    before: Clip
    after: Clip
    retrained: tuple[Clip, ...] = ()

    def by_moment(self) -> dict[str, Clip]:
        return {"before": self.before, "after": self.after} | dict(zip(("retrained",), self.retrained, strict=False))


def read_data(sources: Sources, size: int, limit: int | None = None, twins: bool = False, seed: int = 0) -> Data:
    """All pairs at one size; raises ValueError where a source has none."""
    forget, retain = (read_pairs(source, size, limit) for source in (sources.forget, sources.retain))
    named = {
        "forget": sources.forget_test,
        "retain": sources.retain_test,
        "near": sources.near,
        "facts": sources.facts,
        "far": sources.far,
    }
    given = {name: read_pairs(source, size, limit) for name, source in named.items() if source}
    classes = classes_of(forget, retain, *(given[name] for name in KINDRED if name in given))
    held_out = given.get("forget")
    task = Task(forget, retain, classes, find_twins(forget, retain, seed) if twins else None, held_out)
    own = {} if held_out is None else {"own": forget}
    sets = {"forget": forget, "retain": retain} | own | given
    return Data(task, {name: some(pairs) for name, pairs in sets.items()})


def with_neighbours(data: Data, original: Clip) -> Data:
    """The same with the set `near`, chosen among the retain pairs where it was not given."""
    found = None if "near" in data.sets else neighbours(original, data.sets["retain"], data.sets["forget"])
    return data if found is None else replace(data, sets=data.sets | {"near": found})


def assess(models: Models, data: Data, settings: UnlearnSettings, twins: bool) -> dict[str, Any]:
    """The measured fields of a Result."""
    sides, classes = models.by_moment(), data.classes
    judged = {moment: judge(model, data.sets, classes) for moment, model in sides.items()}
    return {
        **{moment: judged.get(moment) for moment in ("before", "after", "retrained")},
        "membership": _membership(models, data),
        "distance": _distance(models, data),
        "relearning": _relearning(models, data, settings),
        "texts_kept": _texts_kept(models.before, models.after, classes),
        "redirection": _redirection(models, data) if twins else None,
        "calibration": _calibration(models, data),
        "outside": _outside(models, data),
    }


def _outside(models: Models, data: Data) -> dict[str, Fall]:
    sides = {name: model for name, model in models.by_moment().items() if name != "before"}
    return {name: fall(models.before, model, _very_pairs(data)) for name, model in sides.items()}


def _calibration(models: Models, data: Data) -> dict[str, Calibration]:
    name = forgotten_set(data.sets, data.classes is not None)
    return {m: calibration(model, data.sets[name], data.classes) for m, model in models.by_moment().items()}


def draw_similarities(models: Models, data: Data, path: Path, change: Path) -> None:
    """Pictures of the forget pairs' similarities before, after and as retrained, and of what changed since before."""
    pairs = _very_pairs(data)
    before, *later = (shown_matrix(model, embed(model, pairs)) for model in models.by_moment().values())
    draw([before, *later]).save(path)
    draw([matrix - before for matrix in later], around_zero=True).save(change)


def _very_pairs(data: Data) -> Pairs:
    """The pairs to forget themselves, where held-out ones stand for them too."""
    return data.sets.get("own", data.sets["forget"])


def some(pairs: Pairs) -> Pairs:
    """At most JUDGED of the pairs, the same ones every time; at random, for classes may come in turn."""
    if len(pairs) <= JUDGED:
        return pairs
    return pairs.select(torch.randperm(len(pairs), generator=generator(0, "judged"))[:JUDGED].sort().values.tolist())


def _membership(models: Models, data: Data) -> dict[str, dict[str, Attack]] | None:
    """A retrained model is attacked too, with the others of its kind as references: what an honest model shows."""
    if "own" not in data.sets:
        return None
    members, others = data.sets["own"], data.sets["forget"]
    references = {"retrained": models.retrained[1:]}
    return {
        moment: attacks(model, members, others, references.get(moment, models.retrained))
        for moment, model in models.by_moment().items()
    }


def _distance(models: Models, data: Data) -> dict[str, float] | None:
    if not models.retrained:
        return None
    standard, *further = models.retrained
    sides = {"before": models.before, "after": models.after} | dict(zip(("between",), further, strict=False))
    return {
        moment: sum(gap(model, standard, data.sets[name], data.classes) for name in ("forget", "retain")) / 2
        for moment, model in sides.items()
    }


def _relearning(models: Models, data: Data, settings: UnlearnSettings) -> dict[str, Relearning] | None:
    """Both by one recipe; None without a retrained model, or where it knows as much as the original did."""
    if not models.retrained or settings.relearn is None:
        return None
    pairs = _very_pairs(data)

    def known(model: Clip) -> float:
        return knowledge(judge(model, {"own": pairs}, data.classes)["own"])

    high, low = known(models.before), known(models.retrained[0])
    if high <= low:
        return None
    target = low + BACK * (high - low)
    return {
        name: relearn(model, data.task, settings, known, target)
        for name, model in (("after", models.after), ("retrained", models.retrained[0]))
    }


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


def _redirection(models: Models, data: Data) -> dict[str, dict[str, float]]:
    unsafe, safe = data.sets["forget"], data.sets["retain"]
    twins = find_twins(unsafe, safe)
    return {
        name: redirection(model, unsafe, safe, twins)
        for name, model in (("before", models.before), ("after", models.after))
    }
