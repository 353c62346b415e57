"""How soon pairs come back: the steps to a target, and a course that leaves the model alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from protect.settings.unlearn import UnlearnSettings
from protect.unlearn.checkpoint import load_model
from protect.unlearn.judge import judge
from protect.unlearn.neighbours import neighbours
from protect.unlearn.pairs import Pairs
from protect.unlearn.relearning import reached, relearn
from protect.unlearn.task import Task

CPU = torch.device("cpu")


def pairs(count, seed, value=None):
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 255, (count, 3, 32, 32), np.uint8)
    if value is not None:
        pixels[:] = value
    texts = tuple(f"number {seed} {i}" for i in range(count))
    return Pairs(tuple(map(str, range(count))), pixels, tuple((text,) for text in texts), texts)


@pytest.mark.parametrize(
    ("points", "steps"),
    [
        ([(0, 0.9), (1, 0.2)], 0.0),
        ([(0, 0.1), (1, 0.3), (2, 0.7)], 1.5),
        ([(0, 0.1), (4, 0.5), (8, 0.4)], 4.0),
        ([(0, 0.1), (8, 0.4)], None),
    ],
)
def test_the_target_is_reached_on_lines_between_the_points(points, steps):
    assert reached(points, 0.5) == (None if steps is None else pytest.approx(steps))


def test_a_copy_learns_the_pairs_and_the_model_stays():
    model = load_model("tiny-resnet", None, CPU, size=32)
    before, forget = model.fingerprint(), pairs(8, 0)
    settings = UnlearnSettings(batch=8, relearn_step_size=3e-3, relearn=6, size=32)

    def known(student):
        found = judge(student, {"own": forget}, None)["own"]
        return found["true_similarity"] - found["similarity"]

    course = relearn(model, Task(forget, pairs(8, 1)), settings, known, target=10.0)
    assert [steps for steps, _ in course.points] == [0, 1, 2, 4, 6] and course.steps is None
    assert course.points[-1][1] > course.points[0][1]
    assert model.fingerprint() == before
    far = replace(settings, step_size=1.0)  # the forgetting's may be any
    assert relearn(model, Task(forget, pairs(8, 1)), far, known, target=10.0) == course


def test_neighbours_are_the_nearest_tenth_of_the_retain_pairs():
    model = load_model("tiny-resnet", None, CPU, size=32).eval()
    dark, noise = pairs(20, 2, value=0), pairs(200, 3)
    retain = Pairs(
        tuple(f"dark {i}" for i in range(20)) + noise.keys, np.concatenate([dark.pixels, noise.pixels]),
        dark.captions + noise.captions, dark.kinds + noise.kinds,
    )  # fmt: skip
    near = neighbours(model, retain, pairs(3, 4, value=0))
    assert len(near) == 22 and sum(key.startswith("dark") for key in near.keys) == 20
    assert neighbours(model, noise.select(range(50)), dark) is None
