"""Attacks on hand-made scores and models: the AUC, its error, and what each attack reads of a pair."""

import math

import numpy as np
import pytest
import torch

from protect.unlearn.attacks import attack, attacks, scores, strongest
from protect.unlearn.checkpoint import load_model
from protect.unlearn.pairs import Pairs

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model():
    return load_model("tiny-resnet", None, CPU, size=32).eval()


def some_pairs(count, seed=0, captions=None):
    pixels = np.random.default_rng(seed).integers(0, 255, (count, 3, 32, 32), np.uint8)
    texts = captions or [f"number {seed} {i}" for i in range(count)]
    return Pairs(tuple(map(str, range(count))), pixels, tuple((text,) for text in texts), tuple(texts))


def test_the_auc_counts_pairs_and_halves_ties():
    assert attack(torch.tensor([2.0, 3.0]), torch.tensor([1.0])).auc == 1
    assert attack(torch.tensor([1.0, 1.0]), torch.tensor([1.0])).auc == 0.5
    assert attack(torch.tensor([0.0, 2.0, 4.0]), torch.tensor([1.0, 3.0])).auc == pytest.approx(0.5)


def test_the_error_is_how_much_the_auc_moves_from_sample_to_sample():
    random = torch.Generator().manual_seed(0)
    drawn = [attack(torch.randn(60, generator=random) + 0.5, torch.randn(40, generator=random)) for _ in range(300)]
    moved = torch.tensor([one.auc for one in drawn]).std().item()
    assert np.mean([one.error for one in drawn]) == pytest.approx(moved, rel=0.15)


def test_single_pairs_have_no_error_to_speak_of():
    assert attack(torch.tensor([2.0]), torch.tensor([1.0])).error == 0


@torch.no_grad()
def test_loss_and_margin_are_those_of_a_pair_among_all(model):
    pairs = some_pairs(4)
    found = scores(model, pairs)
    images, texts = model.images(pairs.images(torch.arange(4), CPU)), model.texts([c[0] for c in pairs.captions])
    similarity = model.similarity(images, texts)
    logits = model.scale * similarity
    loss = [-(logits.log_softmax(dim)).diagonal() for dim in (1, 0)]
    assert torch.allclose(found["loss"], -(loss[0] + loss[1]) / 2, atol=1e-4)
    foreign = similarity.masked_fill(torch.eye(4, dtype=torch.bool), -math.inf)
    margin = similarity.diagonal() - (foreign.amax(1) + foreign.amax(0)) / 2
    assert torch.allclose(found["margin"], margin, atol=1e-5)
    assert torch.allclose(found["similarity"], similarity.diagonal(), atol=1e-5)


def test_pairs_of_one_caption_are_no_rivals(model):
    found = scores(model, some_pairs(3, captions=["a cat"] * 3))
    assert torch.equal(found["loss"], torch.zeros(3))


def test_a_reference_takes_out_how_hard_a_pair_is(model):
    members, others = some_pairs(6), some_pairs(6, seed=1)
    found = attacks(model, members, others, [model])
    assert found["calibrated"].auc == 0.5 and set(attacks(model, members, others)) == {"similarity", "loss", "margin"}
    assert (
        strongest({"low": attack(torch.zeros(3), torch.ones(3)), "none": attack(torch.ones(3), torch.ones(3))})[0]
        == "low"
    )
