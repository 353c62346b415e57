"""The trainings of a comparison: each row made once, then trained on by every attacker and seed."""

import pickle
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

from protect.settings.verify import VerifySettings
from protect.verify.attackers.train import train
from protect.verify.reading.pairs import JudgedPairs
from protect.verify.records import BEST, LAST, EpochResult, Group, Run, progress_line, total_line
from protect.verify.runs.build import built, forget
from protect.verify.runs.material import Material
from protect.verify.runs.row import Made, Row
from protect.verify.runs.run_store import RunStore
from protect.verify.runs.workers import Say, Workers


@dataclass(frozen=True)
class Training:
    """One attacker on one row from one seed; `identity` is a hash of all that decides its outcome."""

    identity: str
    row: Row
    attacker: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.row.name}, {self.attacker}, seed {self.seed}"


@dataclass(frozen=True)
class RowTrainings:
    """The trainings that use a row's pairs at one size, `steps` batches an epoch."""

    row: Row
    size: int
    steps: int
    trainings: tuple[Training, ...]


class _Call(NamedTuple):
    """Making a row's pairs (training is None), or one training on them."""

    group: RowTrainings
    training: Training | None
    function: Callable[..., Any]
    arguments: tuple[Any, ...]


class Schedule:
    """Runs what is not finished yet, in order; never more calls in flight than there are jobs.

    failed: why a row could not be run, by name.
    """

    def __init__(
        self,
        materials: Mapping[int, Material],
        judged: Mapping[int, JudgedPairs],
        settings: VerifySettings,
        store: RunStore,
        workers: Workers,
    ) -> None:
        self.materials, self.settings, self._tests = materials, settings, dict[int, Path]()
        self.store, self.workers = store, workers
        self.failed: dict[str, str] = {}
        for size, material in materials.items():  # every process reads it once
            self._tests[size] = material.folder / f"test-{size}.pickle"
            self._tests[size].write_bytes(pickle.dumps(judged[size]))
        self._ready: deque[_Call] = deque()
        self._flying: dict[Future[Any], _Call] = {}
        self._left: Counter[tuple[str, int]] = Counter()

    def run(self, groups: Sequence[RowTrainings]) -> None:
        """Every training is in the store afterwards, but for those of failed rows.

        Raises ValueError when a mandatory row cannot be trained on.
        """
        waiting = deque(self._unfinished(groups))
        self._total = sum(len(group.trainings) for group in waiting)
        self._done, self._begin = 0, perf_counter()
        if self._total:
            self.workers.progress(total_line(f"trainings to run: {self._total}", 0, self._total))
        while waiting or self._ready or self._flying:
            while (self._ready or waiting) and len(self._flying) < self.workers.jobs:
                call = self._ready.popleft() if self._ready else self._build(waiting.popleft())
                self._flying[self.workers.submit(call.function, *call.arguments)] = call
            for future in self.workers.wait(self._flying):
                self._finish(self._flying.pop(future), future)

    def _unfinished(self, groups: Sequence[RowTrainings]) -> Iterator[RowTrainings]:
        """The groups with what is neither finished nor, with equal content, in an earlier group."""
        known = set[str]()
        for group in groups:
            missing = []
            for training in group.trainings:
                if self.store.get(training.identity) is not None:
                    self.workers.progress(f"{training.name}: finished before")
                elif training.identity not in known:
                    missing.append(training)
            known |= {training.identity for training in missing}
            if missing:
                yield replace(group, trainings=tuple(missing))

    def _build(self, group: RowTrainings) -> _Call:
        return _Call(group, None, make_row, (group.row, self.materials[group.size], self.settings))

    def _finish(self, call: _Call, future: "Future[Any]") -> None:
        group, place = call.group, (call.group.row.name, call.group.size)
        if (error := future.exception()) is not None:
            if not isinstance(error, ValueError) or group.row.group is Group.MANDATORY:
                raise error
            self.failed[group.row.name] = str(error)
            self.workers.progress(f"{group.row.name}: left out, {error}")
        elif call.training is not None:
            self.store.add(future.result())
        else:
            self._left[place] = len(group.trainings)
            for training in group.trainings:
                arguments = (training, future.result(), self._tests[group.size], group.steps, self.settings)
                self._ready.append(_Call(group, training, run_training, arguments))
        if call.training is not None:
            self._left[place] -= 1
            self._count()
        if not self._left[place]:
            forget(group.row, self.materials[group.size])

    def _count(self) -> None:
        self._done += 1
        minutes = (perf_counter() - self._begin) / self._done * (self._total - self._done) / 60
        if self._done < self._total:
            text = f"{self._done} of {self._total} trainings done, about {minutes:.0f} min left"
            self.workers.progress(total_line(text, self._done, self._total))


def make_row(say: Say, row: Row, material: Material, settings: VerifySettings) -> Made:
    """The row's pairs; ValueError when they are fewer than a batch."""
    made, batch = built(row, material, settings), row.regime.batch or settings.batch
    if len(made.pairs) < batch:
        raise ValueError(
            f"batch: expected at most the {len(made.pairs)} pairs of {row.name} ({len(material.clean)} clean ones), "
            f"got {batch}; lower it"
        )
    return made


def run_training(say: Say, training: Training, made: Made, judged: Path, steps: int, settings: VerifySettings) -> Run:
    """Trains one attacker, saying a line after every epoch."""
    row, epochs, test = training.row, list[EpochResult](), _load(judged)
    settings = row.regime.applied(settings, test.images.shape[-1])
    transformed = None if made.test is None else _load(made.test)
    inputs = (made.pairs, test, training.attacker, settings, training.seed, steps)
    for result in train(*inputs, defence=row.regime.defence, transformed=transformed):
        say(progress_line(training.name, result, settings.epochs))
        epochs.append(result)
    counts = (len(made.pairs), made.pairs.skipped, *made.dropped)
    whole = Run(training.identity, row.name, training.attacker, training.seed, tuple(epochs), *counts)
    stored = {id(whole.at(moment)) for moment in (LAST, BEST)}
    return replace(whole, epochs=tuple(e if id(e) in stored else replace(e, pictures=None) for e in epochs))


@lru_cache(2)
def _load(path: Path) -> JudgedPairs:
    return pickle.loads(path.read_bytes())
