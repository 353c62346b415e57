"""How soon a model learns the forgotten pairs again, beside a model that never saw them.

What comes back in a few steps was hidden, not forgotten: a model that never saw the pairs needs longer.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch

from protect.clip.models import optimizer
from protect.settings.unlearn import UnlearnSettings
from protect.unlearn.head import Clip
from protect.unlearn.loop import rows_of_step
from protect.unlearn.task import Task

BACK = 0.9  # of the way from the retrained model's knowledge to the original's


@dataclass(frozen=True)
class Relearning:
    """What a model knows of the forget pairs (0 to 1) after so many steps.

    steps: to the target; None where it is never reached.
    """

    points: tuple[tuple[int, float], ...]
    target: float
    steps: float | None


def relearn(
    model: Clip, task: Task, settings: UnlearnSettings, knowledge: Callable[[Clip], float], target: float
) -> Relearning:
    """Trains a copy on the forget pairs, with as many retain pairs beside them, for `settings.relearn` steps.

    It is judged after 1, 2, 4, ... steps. The recipe is the same for every model and every method: a step size of its
    own, for that of the forgetting may be large enough to break a model, and the norms frozen.
    """
    assert settings.relearn is not None
    student = copy.deepcopy(model).requires_grad_(True).eval()
    optimiser = optimizer(student, settings.relearn_step_size, settings.weight_decay)
    points = [(0, knowledge(student))]
    for number in range(settings.relearn):
        optimiser.zero_grad()
        _loss(student, task, settings, number).backward()
        optimiser.step()
        done = number + 1
        if done & (done - 1) == 0 or done == settings.relearn:
            points.append((done, knowledge(student)))
    return Relearning(tuple(points), target, reached(points, target))


def reached(points: list[tuple[int, float]], target: float) -> float | None:
    """Steps until the target, on straight lines between the points; None where it is never reached."""
    if points[0][1] >= target:
        return 0.0
    for (before, low), (after, high) in pairwise(points):
        if high >= target:
            return before + (after - before) * (target - low) / (high - low)
    return None


def _loss(student: Clip, task: Task, settings: UnlearnSettings, number: int) -> torch.Tensor:
    images, captions = [], list[str]()
    for name, pairs in (("relearn", task.forget), ("retain", task.retain)):
        rows = rows_of_step(len(pairs), settings.batch, number, settings.seed, name)
        images.append(pairs.images(rows, student.towers.device))
        captions += [pairs.captions[i][0] for i in rows.tolist()]
    return student.training_loss(student.images(torch.cat(images)), student.texts(captions))
