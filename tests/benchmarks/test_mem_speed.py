"""What the speed benchmark rests on: in fp32 the tool and the plain baseline choose the same words and noise."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

from protect.clip.losses import clip_loss


@pytest.fixture(scope="module")
def baseline():
    path = Path(__file__).parents[2] / "benchmarks/mem_baseline.py"
    spec = importlib.util.spec_from_file_location("mem_baseline", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.Baseline


@pytest.fixture(params=["tiny-resnet", "tiny-vit"])
def minimiser(request, small_minimiser):
    made = small_minimiser(request.param)
    with torch.no_grad():
        made.surrogate.logit_scale.add_(1)  # a sharper loss: options differ by more than rounding
    made.freeze()
    return made


def test_words_and_noise_are_those_of_the_plain_baseline(minimiser, baseline):
    reference, rows = baseline(minimiser.surrogate), torch.arange(6)
    batch, first, state = minimiser.window.batch(rows), minimiser.choice.clone(), minimiser.random.get_state()
    ids = minimiser.lexicon.ids
    tokens = minimiser.tokens(batch, first)
    expected = reference.text_step(batch.images, tokens, ids, minimiser.recipe.own.candidates)
    minimiser.random.set_state(state)
    minimiser.search_words(rows)
    found = ids[torch.arange(3), minimiser.choice]
    assert torch.equal(found, expected[:, 1:4])
    assert (found != tokens[:, 1:4]).any(dim=0).all()  # every position has found something better

    state = minimiser.random.get_state()
    wanted = reference.image_step(
        batch.images,
        torch.zeros_like(batch.images),
        lambda: minimiser.tokens(batch, minimiser.choice, permute=True),
        minimiser.recipe.own.steps,
        8.0,
    )
    minimiser.random.set_state(state)
    minimiser.move_noise(rows)
    noise = minimiser.window.noise(rows)
    same = (noise - wanted).abs() < 0.01
    assert same.float().mean() > 0.999  # a gradient next to zero may round to either sign
    assert noise.abs().max() == minimiser.recipe.own.steps


def test_the_baseline_learns_as_the_surrogate_does(minimiser, baseline):
    reference, rows = baseline(minimiser.surrogate, learning_rate=minimiser.recipe.own.learning_rate), torch.arange(6)
    batch, state = minimiser.window.batch(rows), minimiser.random.get_state()
    reference.surrogate_step(batch.images, minimiser.tokens(batch, minimiser.choice))
    minimiser.random.set_state(state)
    minimiser.learn([rows])
    minimiser.freeze()
    reference.model.eval()
    tokens = minimiser.tokens(batch, minimiser.choice)
    theirs = reference.loss(batch.images, tokens).item()
    ours = clip_loss(
        minimiser.surrogate.images(batch.images), minimiser.surrogate.text(tokens), minimiser.surrogate.scale
    )
    assert ours.item() == pytest.approx(theirs, rel=1e-3)
