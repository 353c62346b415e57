"""Ascents that end: levelled ascent stops where unseen pairs are, NPO fades as a pair is forgotten."""

import numpy as np
import pytest
import torch
from given_embeddings import SCALE, GivenEmbeddings, unit

from protect.settings.unlearn import ForgetSettings
from protect.unlearn.checkpoint import load_model
from protect.unlearn.methods import level, npo
from protect.unlearn.methods.ga import pair_losses
from protect.unlearn.pairs import Pairs
from protect.unlearn.step import Part, Step
from protect.unlearn.task import Task


def part(seed, moved=None):
    """Pairs whose embeddings have not moved, or only their images, to those of another seed."""
    made = Part(GivenEmbeddings(), GivenEmbeddings(), torch.zeros(6, 3, 1, 1), [f"{seed} {i}" for i in range(6)])
    made.images_before, made.texts_before = unit(seed), unit(seed + 100)
    made.images, made.texts = unit(seed if moved is None else moved).requires_grad_(), made.texts_before.clone()
    return made


def losses(images, texts):
    return pair_losses(SCALE * images @ texts.T)


def test_at_its_level_a_pair_is_left_alone():
    step = Step(part(1), part(2))
    only = ForgetSettings(raise_by=0.0, steady=0.0)
    value = level.loss(step, only)
    assert value == 0 and torch.autograd.grad(value, step.forget.images)[0].abs().max() == 0


@pytest.mark.parametrize(("rise", "sign"), [(3.0, 1), (-3.0, -1)])
def test_below_its_level_a_loss_rises_and_above_it_falls(rise, sign):
    step = Step(part(1), part(2), prepared=rise)
    value = level.loss(step, ForgetSettings(steady=0.0, lift=1.0))
    (slope,) = torch.autograd.grad(value, step.forget.images)
    moved = losses(step.forget.images - 0.01 * slope, step.forget.texts).mean()
    assert sign * (moved - losses(step.forget.images, step.forget.texts).mean()) > 0
    assert value.item() == pytest.approx(2.5)  # three nats away, less half of what is quadratic


def test_retain_pairs_are_held_where_they_were():
    step = Step(part(1), part(2, moved=3))
    weights = ForgetSettings(raise_by=0.0, steady=10.0)
    away = 1 - (step.retain.images * step.retain.images_before).sum(dim=1).mean()
    assert torch.allclose(level.loss(step, weights), 10 * away)


def test_the_level_is_that_of_unseen_pairs():
    model = load_model("tiny-resnet", None, torch.device("cpu"), size=32).eval()
    pixels = np.random.default_rng(0).integers(0, 255, (12, 3, 32, 32), np.uint8)
    texts = tuple(f"number {i}" for i in range(12))
    pairs = Pairs(texts, pixels, tuple((text,) for text in texts), texts)
    ours, unseen = pairs.select(range(6)), pairs.select(range(6, 12))
    gap = level.mean_loss(model, unseen, 4) - level.mean_loss(model, ours, 4)
    generator = torch.Generator()
    found = [
        level.prepare(model, Task(one, one, held_out=other), 4, generator)
        for one, other in ((ours, unseen), (unseen, ours))
    ]
    assert sorted(found) == [0.0, pytest.approx(abs(gap))] and abs(gap) > 0
    assert level.prepare(model, Task(ours, ours), 4, generator) is None


def test_without_unseen_pairs_a_level_is_asked_for():
    with pytest.raises(ValueError, match=r"level: expected unseen pairs .* --forget-test, or give --raise-by"):
        level.loss(Step(part(1), part(2)), ForgetSettings())


def test_npo_starts_as_ascent_and_pushes_less_the_more_a_pair_is_forgotten():
    weights = ForgetSettings(bound=0.5, repel=2.0)

    def slopes(moved):
        step = Step(part(1, moved), part(2))
        ascent = -2.0 * losses(step.forget.images, step.forget.texts).mean()
        return [torch.autograd.grad(value, step.forget.images)[0] for value in (npo.loss(step, weights), ascent)]

    start = slopes(None)
    assert torch.allclose(*start, atol=1e-6)
    step = Step(part(1), part(2))
    step.forget.images = (-step.forget.texts_before).requires_grad_()  # as unlike as can be
    (late,) = torch.autograd.grad(npo.loss(step, weights), step.forget.images)
    (ascent,) = torch.autograd.grad(-2.0 * losses(step.forget.images, step.forget.texts).mean(), step.forget.images)
    assert late.norm() < 0.2 * ascent.norm()
