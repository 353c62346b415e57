"""What the speed benchmark rests on: in fp32 the tool and the plain baseline choose the same words and noise."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from protect.alphabet import draw_alphabet
from protect.batches import Window
from protect.budget import Budget
from protect.losses import clip_loss
from protect.methods.minimise import Minimiser
from protect.noise import PerImage
from protect.settings import FitSettings, MemSettings, NoiseSettings, Recipe, TriggerSettings
from protect.trigger import draw_choice

CAPTIONS = ("a dog", "two cats on a chair", "a red boat", "the old man and the sea", "rain", "a dog and a boat")
RECIPE = Recipe(
    FitSettings("mem", ("tiny-resnet",), size=32, window=6, batch=6, device="cpu", precision="fp32"),
    TriggerSettings(trigger_words=3, alphabet=12),
    NoiseSettings(step_size=1.0, steps=4),
    MemSettings(share="image", candidates=5),
)


@pytest.fixture(scope="module")
def baseline():
    path = Path(__file__).parents[1] / "benchmarks/mem_baseline.py"
    spec = importlib.util.spec_from_file_location("mem_baseline", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.Baseline


@pytest.fixture(params=["tiny-resnet", "tiny-vit"])
def minimiser(request):
    recipe = replace(RECIPE, fit=replace(RECIPE.fit, surrogate=(request.param,)))
    window, random = Window(32, 6), np.random.default_rng(5)
    for number, caption in enumerate(CAPTIONS):
        window.add(str(number), random.integers(0, 256, (3, 32, 32), dtype=np.uint8), [caption])
    alphabet = draw_alphabet(3, 12, 0)
    carrier = PerImage(window, Budget(8.0))
    made = Minimiser(window, recipe, alphabet, draw_choice(window.keys, alphabet, 0), carrier, True, str)
    made.start_surrogate(0)
    with torch.no_grad():
        made.surrogate.logit_scale.add_(1)  # a sharper loss: options differ by more than rounding
    made.freeze()
    return made


def test_words_and_noise_are_those_of_the_plain_baseline(minimiser, baseline):
    reference, rows = baseline(minimiser.surrogate), torch.arange(6)
    batch, first, state = minimiser.window.batch(rows), minimiser.choice.clone(), minimiser.random.get_state()
    ids = minimiser.lexicon.ids
    tokens = minimiser.tokens(batch, first)
    expected = reference.text_step(batch.images, tokens, ids, RECIPE.mem.candidates)
    minimiser.random.set_state(state)
    minimiser.search_words(rows)
    found = ids[torch.arange(3), minimiser.choice]
    assert torch.equal(found, expected[:, 1:4])
    assert (found != tokens[:, 1:4]).any(dim=0).all()  # every position has found something better

    state = minimiser.random.get_state()
    wanted = reference.image_step(
        batch.images,
        torch.zeros_like(batch.images),
        lambda: minimiser.tokens(batch, minimiser.choice, shuffle=True),
        RECIPE.noise.steps,
        8.0,
    )
    minimiser.random.set_state(state)
    minimiser.move_noise(rows)
    noise = minimiser.window.noise(rows)
    same = (noise - wanted).abs() < 0.01
    assert same.float().mean() > 0.999  # a gradient next to zero may round to either sign
    assert noise.abs().max() == RECIPE.noise.steps


def test_the_baseline_learns_as_the_surrogate_does(minimiser, baseline):
    reference, rows = baseline(minimiser.surrogate, learning_rate=RECIPE.mem.learning_rate), torch.arange(6)
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
