"""The loop that all methods run in: who is trained, who is not, and going on after a stop."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from protect.settings.unlearn import ForgetSettings, UnlearnSettings
from protect.unlearn import loop as loop_module
from protect.unlearn.checkpoint import load_model
from protect.unlearn.loop import Loop, rows_of_step, schedule
from protect.unlearn.methods import METHODS
from protect.unlearn.pairs import Pairs, classes_of
from protect.unlearn.task import Task

CPU = torch.device("cpu")
TINY = UnlearnSettings(steps=3, epochs=1, batch=4, step_size=1e-3, size=32, device="cpu", keep_every=1)


def pairs(count, kinds, seed):
    pixels = np.random.default_rng(seed).integers(0, 255, (count, 3, 32, 32), np.uint8)
    names = tuple(kinds[i % len(kinds)] for i in range(count))
    return Pairs(tuple(f"{seed}-{i}" for i in range(count)), pixels, tuple((f"a {n}",) for n in names), names)


FORGET, RETAIN = pairs(8, ["cat"], 0), pairs(12, ["dog", "boat"], 1)
TASK = Task(FORGET, RETAIN, classes_of(FORGET, RETAIN), torch.arange(8), pairs(6, ["cat"], 2))


@pytest.fixture(scope="module")
def originals():
    """In each geometry a student, a reference, and the random weights that both start from."""
    return {kind: [load_model("tiny-resnet", "", CPU, kind, 32) for _ in range(3)] for kind in ("sphere", "meru")}


def pair_of_models(originals, method):
    kind = "meru" if METHODS[method].geometry == "hyperbolic" else "sphere"
    student, reference, start = originals[kind]
    for model in (student, reference):
        model.load_state_dict(start.state_dict())
    return student, reference


def run(originals, method, keep=None, report=lambda line: None, **changes):
    student, reference = pair_of_models(originals, method)
    course = Loop(student, reference, TASK, replace(TINY, method=method, **changes), ForgetSettings()).run(
        keep, report
    )
    return student, reference, course


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_the_student_and_leaves_the_original_alone(originals, method):
    student, reference, course = run(originals, method)
    original = originals[reference.geometry][2].fingerprint()
    assert reference.fingerprint() == original != student.fingerprint()
    steps = 1 if METHODS[method].fresh else 0 if METHODS[method].edit else 3
    assert course.steps == steps and course.seconds > 0
    assert np.isfinite(course.loss) and not student.training
    changed = {n for n, p in student.state_dict().items() if not torch.equal(p, reference.state_dict()[n])}
    trained_norms = any("running_mean" in name for name in changed)
    assert trained_norms == METHODS[method].live_norms


def test_a_stopped_run_ends_where_an_unbroken_one_does(originals, tmp_path, monkeypatch):
    student, _, course = run(originals, "graddiff")
    whole = student.fingerprint()

    class Stop(Exception):
        pass

    def stop(line):
        if "step 2" in line:
            raise Stop

    state = tmp_path / "state.pt"
    with pytest.raises(Stop):
        run(originals, "graddiff", state, stop)
    lines = []
    again, _, resumed = run(originals, "graddiff", state, lines.append)
    assert lines[0] == "continues after step 1"
    assert again.fingerprint() == whole and resumed.loss == course.loss
    other = []
    run(originals, "graddiff", state, other.append, seed=5)
    assert "kept by a run with other settings" in other[0]


def test_the_same_seed_gives_the_same_weights(originals):
    first, second, other = (run(originals, "finetune", seed=seed)[0].fingerprint() for seed in (1, 1, 2))
    assert first == second != other


def test_a_loss_that_is_no_number_ends_the_run(originals, monkeypatch):
    broken = replace(METHODS["finetune"], loss=lambda step, _: step.retain.images.sum() * float("nan"))
    monkeypatch.setitem(loop_module.METHODS, "finetune", broken)
    with pytest.raises(ValueError, match=r"finetune, step 1: expected a finite loss, got nan; lower --step-size"):
        run(originals, "finetune")


@pytest.mark.parametrize(
    ("method", "geometry", "task", "message"),
    [
        ("hac", "sphere", TASK, "expected meru or hycoclip for hac, got sphere"),
        ("cliperase", "meru", TASK, "expected sphere for cliperase, got meru"),
        ("ccu", "sphere", replace(TASK, classes=None), "ccu: expected pairs of at least two classes"),
        ("safeclip", "sphere", replace(TASK, twins=None), "safeclip: expected a safe twin"),
        (
            "ga",
            "sphere",
            replace(TASK, forget=FORGET.select([0])),
            "expected at least 2 pairs to forget and 2 to keep",
        ),
    ],
)
def test_what_does_not_fit_is_refused(originals, method, geometry, task, message):
    model = originals[geometry][0]
    with pytest.raises(ValueError, match=message):
        Loop(model, model, task, replace(TINY, method=method), ForgetSettings())


def test_retraining_takes_all_retain_pairs_and_no_forget_pair(originals, monkeypatch):
    seen = []
    method = METHODS["retrain"]

    def watch(step, settings):
        seen.append((len(step.forget), len(step.retain)))
        return method.loss(step, settings)

    monkeypatch.setitem(loop_module.METHODS, "retrain", replace(method, loss=watch))
    run(originals, "retrain", batch=3, epochs=2)
    assert seen == [(0, 6)] * 4


def test_twins_come_row_by_row(originals, monkeypatch):
    rows = []
    monkeypatch.setitem(
        loop_module.METHODS,
        "safeclip",
        replace(METHODS["safeclip"], loss=lambda step, _: rows.append(step) or step.retain.images.sum()),
    )
    run(originals, "safeclip")
    for step in rows:
        for forget, retain in zip(step.forget.pixels, step.retain.pixels, strict=True):
            number = next(i for i in range(8) if torch.equal(FORGET.images(torch.tensor([i]), CPU)[0], forget))
            assert torch.equal(RETAIN.images(torch.tensor([number]), CPU)[0], retain)


def test_an_epoch_holds_every_pair_once():
    rows = torch.cat([rows_of_step(10, 3, number, 0, "x") for number in range(3)]).tolist()
    assert len(set(rows)) == 9
    counts = Counter(torch.cat([rows_of_step(6, 3, number, 0, "x") for number in range(4)]).tolist())
    assert counts == dict.fromkeys(range(6), 2)
    assert rows_of_step(3, 8, 5, 0, "x").sort().values.tolist() == [0, 1, 2]


def test_the_learning_rate_rises_then_falls():
    rates = [schedule(number, 100) for number in range(100)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == rates[9] == 1 and rates[-1] < 1e-3
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert schedule(0, 1) == 1
