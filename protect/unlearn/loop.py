"""The one loop that every method runs in: batches, steps, schedule, and a state to go on from."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from protect.clip.models import optimizer
from protect.seeds import generator
from protect.settings.unlearn import ForgetSettings, UnlearnSettings
from protect.unlearn.head import Clip
from protect.unlearn.judge import prompts
from protect.unlearn.methods import METHODS, Method
from protect.unlearn.pairs import Pairs
from protect.unlearn.step import Part, Step
from protect.unlearn.task import Task

REPORTS = 20  # lines of progress in a run
WARM_UP = 0.1  # share of the steps

Report = Callable[[str], None]


@dataclass(frozen=True)
class Course:
    """How a run went: steps, seconds of work by the clock and by the processor, mean loss of the last tenth."""

    steps: int
    seconds: float
    cpu_seconds: float
    loss: float


class Watch:
    """Seconds spent, by the clock and by the processor, on top of those of earlier parts."""

    def __init__(self, spent: tuple[float, float]) -> None:
        self.start = [spent[0] - perf_counter(), spent[1] - process_time()]

    def read(self) -> tuple[float, float]:
        return self.start[0] + perf_counter(), self.start[1] + process_time()


class Loop:
    """`student` is trained in place; `reference` stays as it is, which is checked."""

    def __init__(
        self, student: Clip, reference: Clip, task: Task, settings: UnlearnSettings, weights: ForgetSettings
    ) -> None:
        self.student, self.reference, self.task = student, reference, task
        self.settings, self.weights = settings, weights
        self.method = METHODS[settings.method]
        _check(self.method, settings.method, student, task)
        self.device = student.towers.device
        # without forget pairs a batch has room for twice the retain pairs
        self.batch = 2 * settings.batch if self.method.fresh else settings.batch
        epoch = max(1, len(task.retain) // self.batch)
        self.steps = settings.epochs * epoch if self.method.fresh else settings.steps
        self.kinds = [task.classes.numbers(p) if task.classes else None for p in (task.forget, task.retain)]

    def run(self, keep: Path | None, report: Report) -> Course:
        """All steps; with `keep`, the state is written to that file now and then, and found there again.

        Raises ValueError when the loss stops being a number.
        """
        if self.method.edit is not None:
            return self._edit(self.method.edit)
        assert self.method.loss is not None
        before = self.reference.fingerprint()
        self.reference.eval().requires_grad_(False)
        # a batch of forget pairs has statistics of its own, which the norms must not learn
        self.student.train(self.method.live_norms)
        if self.method.freeze is not None:
            self.method.freeze(self.student)
        peak = self.settings.fresh_step_size if self.method.fresh else self.settings.step_size
        optimiser = optimizer(self.student, peak, self.settings.weight_decay)
        identity = self._identity(before)
        first, spent, losses = _resume(keep, identity, self.student, optimiser, report)
        watch, prepared = Watch(spent), self._prepare()
        for number in range(first, self.steps):
            loss = self.method.loss(self._step(number, prepared), self.weights)
            optimiser.zero_grad()
            loss.backward()
            for group in optimiser.param_groups:
                group["lr"] = peak * schedule(number, self.steps)
            optimiser.step()
            losses.append(loss.item())
            if not math.isfinite(losses[-1]):
                raise ValueError(
                    f"{self.settings.method}, step {number + 1}: expected a finite loss, got {losses[-1]}; "
                    "lower --step-size, or the weight of the method's forgetting term"
                )
            if (number + 1) % max(1, self.steps // REPORTS) == 0:
                report(f"{self.settings.method}: step {number + 1}/{self.steps}, loss {losses[-1]:.4f}")
            if keep and (number + 1) % self.settings.keep_every == 0 and number + 1 < self.steps:
                _save(keep, identity, self.student, optimiser, number + 1, watch.read(), losses)
        assert self.reference.fingerprint() == before, "the original was changed"
        seconds = watch.read()
        last = losses[-max(1, self.steps // 10) :]
        self.student.eval()
        return Course(self.steps, *seconds, sum(last) / len(last))

    def _edit(self, edit: Callable[..., None]) -> Course:
        """The student changed in closed form, by the texts of the classes alone."""
        watch, classes = Watch((0.0, 0.0)), self.task.classes
        assert classes is not None
        heads = prompts(self.reference, classes)
        forgotten = set(self.task.forget.kinds) - set(self.task.retain.kinds)
        gone = torch.tensor([name in forgotten for name in classes.names], device=heads.device)
        if not gone.any():
            raise ValueError(
                f"{self.settings.method}: expected a class that only --forget has, found none; take that class "
                "out of --retain"
            )
        edit(self.student, heads[gone], heads[~gone], self.weights)
        self.student.eval()
        return Course(0, *watch.read(), 0.0)

    def _step(self, number: int, prepared: Any) -> Step:
        task, seed = self.task, self.settings.seed
        forget = torch.zeros(0, dtype=torch.int64)
        if not self.method.fresh:
            forget = rows_of_step(len(task.forget), self.batch, number, seed, "forget")
        if self.method.twins and task.twins is not None:
            retain = task.twins[forget]
        else:
            retain = rows_of_step(len(task.retain), self.batch, number, seed, "retain")
        random = generator(seed, "captions", number)
        parts = [
            self._part(pairs, rows, kinds, random)
            for pairs, rows, kinds in zip((task.forget, task.retain), (forget, retain), self.kinds, strict=True)
        ]
        share = len(task.forget) / len(task.retain)
        return Step(parts[0], parts[1], share, number / self.steps, prepared, random)

    def _part(self, pairs: Pairs, rows: Tensor, kinds: Tensor | None, random: torch.Generator) -> Part:
        draws = torch.rand(len(rows), generator=random).tolist()
        lines = [pairs.captions[i] for i in rows.tolist()]
        captions = [own[int(draw * len(own))] for own, draw in zip(lines, draws, strict=True)]
        own_kinds = None if kinds is None else kinds[rows].to(self.device)
        return Part(self.student, self.reference, pairs.images(rows, self.device), captions, own_kinds)

    def _prepare(self) -> Any:
        if self.method.prepare is None:
            return None
        random = generator(self.settings.seed, "prepare")
        return self.method.prepare(self.reference, self.task, self.settings.batch, random)

    def _identity(self, reference: str) -> str:
        """Hash of everything that decides the outcome."""
        settings = asdict(self.settings) | {"device": "", "keep_every": 0}
        parts = (settings, asdict(self.weights), reference, self.student.fingerprint())
        data = [(p.keys, p.captions) for p in (self.task.forget, self.task.retain)]
        return hashlib.sha256(repr((parts, data)).encode()).hexdigest()


def schedule(number: int, steps: int) -> float:
    """Share of the peak learning rate at a step: a linear warm-up, then half a cosine down to nothing."""
    warm = max(1, int(WARM_UP * steps))
    rise = min(1.0, (number + 1) / warm)
    return rise * (1 + math.cos(math.pi * max(0, number - warm) / max(1, steps - warm))) / 2


def rows_of_step(count: int, batch: int, number: int, seed: int, name: str) -> Int[Tensor, " batch"]:
    """The pairs of a step, a function of its number: whole batches from a fresh order in every epoch."""
    batch = min(batch, count)
    epoch, place = divmod(number, count // batch)
    order = torch.randperm(count, generator=generator(seed, name, epoch))
    return order[place * batch : (place + 1) * batch]


def _check(method: Method, name: str, student: Clip, task: Task) -> None:
    hyperbolic = student.geometry != "sphere"
    if method.geometry != "any" and hyperbolic != (method.geometry == "hyperbolic"):
        cure = "meru or hycoclip" if method.geometry == "hyperbolic" else "sphere"
        raise ValueError(f"geometry: expected {cure} for {name}, got {student.geometry}; use weights of that kind")
    if method.classes and task.classes is None:
        raise ValueError(
            f"{name}: expected pairs of at least two classes (named by .cls files, or by captions that many pairs "
            "share), found a caption of its own for nearly every pair; use another method"
        )
    if method.twins and task.twins is None:
        raise ValueError(
            f"{name}: expected a safe twin for each unsafe pair, found none; name safe pairs with --retain"
        )
    smallest = min(len(task.retain), len(task.retain if method.fresh else task.forget))
    if smallest < 2:
        raise ValueError(f"{name}: expected at least 2 pairs to forget and 2 to keep, got {smallest}; name more")


def _save(
    keep: Path, identity: str, student: Clip, optimiser: torch.optim.Optimizer, step: int,
    seconds: tuple[float, float], losses: list[float],
) -> None:  # fmt: skip
    part = keep.with_name(keep.name + ".part")
    state = {"identity": identity, "step": step, "seconds": seconds, "losses": losses}
    torch.save(state | {"student": student.state_dict(), "optimiser": optimiser.state_dict()}, part)
    part.replace(keep)


def _resume(
    keep: Path | None, identity: str, student: Clip, optimiser: torch.optim.Optimizer, report: Report
) -> tuple[int, tuple[float, float], list[float]]:
    """Next step, seconds spent and losses so far; a state of another run is left alone until it is overwritten."""
    if keep is None or not keep.is_file():
        return 0, (0.0, 0.0), []
    state = torch.load(keep, map_location=student.towers.device, weights_only=True)
    if state["identity"] != identity:
        report(f"{keep}: kept by a run with other settings or data, so this run starts at step 1")
        return 0, (0.0, 0.0), []
    student.load_state_dict(state["student"])
    optimiser.load_state_dict(state["optimiser"])
    report(f"continues after step {state['step']}")
    return state["step"], tuple(state["seconds"]), state["losses"]
