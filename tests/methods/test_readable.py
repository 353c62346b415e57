"""Readability: zero for what says nothing, larger for what lies apart; learning raises it on new networks."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from protect.clip.models import load_encoder
from protect.data.window import Window
from protect.methods import readable
from protect.methods.parts.budget import Budget
from protect.methods.parts.tiles import draw_tiles, superpose
from protect.methods.readable import readability, stages, whiten
from protect.seeds import generator
from protect.settings.recipe import CodeSettings, FitSettings, NoiseSettings, Recipe, TriggerSettings

CPU = torch.device("cpu")
RECIPE = Recipe(
    FitSettings(method="code", surrogate=("tiny-resnet",), size=32, window=32, batch=16, device="cpu"),
    TriggerSettings(trigger_words=2, alphabet=2),
    NoiseSettings(through=("crop",)),
    code=CodeSettings(grade="learned", tile_steps=12, tile_step=0.5),
)


def window(pairs=32):
    made, random = Window(32, pairs), np.random.default_rng(0)
    for number in range(pairs):
        coarse = random.integers(0, 256, (3, 4, 4), dtype=np.uint8)
        made.add(str(number), coarse.repeat(8, 1).repeat(8, 2), [f"number {number}"])
    return made


def features(count=64, width=5):
    return torch.randn(count, width, generator=generator(0, "features"))


def test_no_effect_and_an_effect_all_symbols_share_have_no_readability():
    clean, choice = [features()], torch.arange(64).view(-1, 1) % 4
    assert readability(clean, clean, choice, 4) == 0
    assert readability(clean, [clean[0] + 3.0], choice, 4).abs() < 1e-6


def test_it_is_the_logarithm_of_a_distance_that_grows_with_the_square_of_the_effect():
    clean, choice = features(), torch.arange(64).view(-1, 1) % 2
    effect = torch.where(choice == 0, 1.0, -1.0) * torch.eye(5)[0]
    one, two = (readability([clean], [clean + factor * effect], choice, 2) for factor in (1.0, 2.0))
    assert one.expm1() > 2 and two.expm1().item() == pytest.approx(4 * one.expm1().item(), rel=1e-4)


def test_a_loud_symbol_does_not_make_up_for_two_alike():
    clean, choice = features(600), torch.arange(600).view(-1, 1) % 3
    places = {"even": torch.tensor([-1.0, 0.0, 1.0]), "one loud": torch.tensor([0.0, 0.0, 3.0**0.5])}  # same sum
    found = {
        name: readability([clean], [clean + place[choice] * torch.eye(5)[0]], choice, 3)
        for name, place in places.items()
    }
    assert found["even"] > found["one loud"]


def test_chance_effects_do_not_count():
    clean = features(4000)
    noise = 0.5 * torch.randn(4000, 5, generator=generator(1))
    choice = torch.randint(0, 8, (4000, 1), generator=generator(2))
    assert readability([clean], [clean + noise], choice, 8).abs() < 2e-3


def test_whitened_features_have_unit_spread():
    stretched = features(500) * torch.tensor([1.0, 5.0, 0.5, 2.0, 1.0])
    white = whiten(stretched - stretched.mean(0), stretched)
    spread = white.T @ white / 500
    assert torch.allclose(spread, torch.eye(5), atol=0.35) and spread.diagonal().max() <= 1


@pytest.mark.parametrize("name, count", [("tiny-resnet", 4), ("tiny-vit", 3)])
def test_every_stage_of_a_tower_gives_a_row_an_image(name, count):
    found = stages(load_encoder(name, CPU, size=32), torch.rand(5, 3, 32, 32))
    assert len(found) == count
    assert all(part.dim() == 2 and len(part) == 5 for part in found)


def test_learned_tiles_are_read_better_by_networks_they_never_met():
    def score(tiles):
        images, choice = window().batch(torch.arange(32)).images, torch.arange(64).view(32, 2) % 2
        changed = Budget(8.0).apply(images, superpose(tiles, choice, 32, 8.0))
        nets = [load_encoder("tiny-resnet", CPU, size=32, seed=seed) for seed in range(900, 904)]
        with torch.no_grad():
            return sum(readability(stages(net, images), stages(net, changed), choice, 2) for net in nets)

    start, lines = draw_tiles(2, 2, 8, 8.0, generator(5)), []
    learned = readable.learn(start, window(), RECIPE, lines.append)
    assert learned.abs().max() <= 8 and lines[-1].startswith("step 12/12: readability ")
    assert score(learned) > 1.1 * score(start)


def test_same_seed_same_tiles():
    start, recipe = draw_tiles(2, 2, 8, 8.0, generator(5)), replace(RECIPE, code=replace(RECIPE.code, tile_steps=2))
    first, again = (readable.learn(start, window(), recipe, lambda line: None) for _ in range(2))
    assert torch.equal(first, again)
