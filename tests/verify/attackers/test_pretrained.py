"""Attackers with pretrained towers: which weights move, what they need, and that they learn from pairs."""

import colorsys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from protect.clip.losses import clip_loss
from protect.clip.models import optimizer
from protect.settings.verify import VerifySettings
from protect.verify.attackers import built_in
from protect.verify.attackers.built_in import BUILT_IN, is_fitted, learns_from
from protect.verify.attackers.pretrained import PACKAGES
from protect.verify.attackers.train import attacker_size, new_attacker, train
from protect.verify.countermeasures.base import PLAIN, Regime
from protect.verify.reading.pairs import JudgedPairs, Pairs, centre

SMALL = VerifySettings(attackers=("pretrained-frozen",), epochs=1, batch=16, size=64, device="cpu")
NAMES = ("red", "orange", "yellow", "green", "blue", "purple")


def scenes(numbers):
    """Blocks of one colour on another, and captions that name both."""
    pictures, captions = [], []
    for number in numbers:
        random = np.random.default_rng(number)
        own, ground = random.choice(len(NAMES), 2, replace=False)
        colours = [tuple(int(255 * v) for v in colorsys.hsv_to_rgb(i / len(NAMES), 0.9, 0.8)) for i in (own, ground)]
        picture = Image.new("RGB", (72, 64), colours[1])
        picture.paste(colours[0], (20, 16, 52, 48))
        grain = random.integers(-8, 9, (64, 72, 3))
        pictures.append((np.asarray(picture) + grain).clip(0, 255).astype(np.uint8))
        captions.append((f"a {NAMES[own]} block on a {NAMES[ground]} ground",))
    return Pairs(tuple(map(str, numbers)), pictures, tuple(captions))


def judged(pairs):
    squares = [np.asarray(centre(Image.fromarray(picture), 64)) for picture in pairs.pictures]
    return JudgedPairs(pairs.keys, torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2), pairs.captions)


@pytest.fixture(scope="module")
def model():
    return new_attacker("pretrained-lit", SMALL, 0)


def test_sizes_are_the_towers_own_unless_asked():
    assert attacker_size("pretrained-lit", VerifySettings()) == 224
    assert attacker_size("pretrained-frozen", SMALL) == 64


def test_a_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setattr(built_in, "find_spec", lambda name: None if name == PACKAGES[1] else "there")
    with pytest.raises(ImportError, match=r"pretrained attackers: expected .*pip install '"):
        attacker_size("pretrained-frozen", SMALL)


def test_the_image_tower_is_locked_and_the_rest_learns(model):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()
    images, tokens = torch.rand(4, 3, 64, 64), model.rows([model.encode(text) for text in NAMES[:4]])
    loss = (model.images(images) @ model.text(tokens).T).sum()
    loss.backward()
    moving = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert not any(name.startswith("model.image.") for name in moving)
    assert {"model.image_head.weight", "model.text_head.weight"} <= moving
    assert any(name.startswith("model.text.") for name in moving)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())  # batch statistics too


def test_captions_of_any_length_have_the_same_features_alone_and_in_a_batch(model):
    model.eval()
    short, long = (model.encode(text) for text in ("a dog", "two dogs that play with a ball on the beach " * 20))
    with torch.inference_mode():
        alone, together = model.text(model.rows([short])), model.text(model.rows([short, long]))
    assert alone[0] @ together[0] > 0.999 > alone[0] @ together[1]  # padding adds nothing


def test_frozen_towers_are_fitted_once_and_find_unseen_pairs():
    pairs, test = scenes(range(96)), judged(scenes(range(1000, 1030)))
    untrained, fitted = train(pairs, test, "pretrained-frozen", SMALL, 0)
    assert fitted.epoch == 1 and fitted.loss is None
    percentile = fitted.metrics["text_retrieval_mean_percentile_rank"]
    assert percentile > 0.8 > untrained.metrics["text_retrieval_mean_percentile_rank"] + 0.1
    shuffled = replace(pairs, captions=pairs.captions[7:] + pairs.captions[:7])
    *_, nothing = train(shuffled, test, "pretrained-frozen", SMALL, 0)
    assert nothing.metrics["text_retrieval_mean_percentile_rank"] < percentile - 0.15


def test_a_locked_image_tower_trains_by_steps():
    pairs, test = scenes(range(16)), judged(scenes(range(1000, 1012)))
    untrained, trained = train(pairs, test, "pretrained-lit", SMALL, 0, steps=2)
    assert trained.loss > 0 and trained.metrics != untrained.metrics


def test_what_only_changes_training_steps_is_nothing_to_a_fit():
    assert is_fitted("pretrained-frozen") and not is_fitted("pretrained-lit") and not is_fitted("RN50")
    for regime in (Regime(defence="ueraser"), Regime(batch=512), Regime(times=4)):
        assert not learns_from("pretrained-frozen", regime) and learns_from("tiny-hf", regime)
    for regime in (PLAIN, Regime(view="strong"), Regime(resolution=0.5)):
        assert learns_from("pretrained-frozen", regime)


def test_every_built_in_attacker_says_its_size():
    assert all(attacker_size(name, VerifySettings()) == one.size for name, one in BUILT_IN.items())


def moved(name):
    """The parameters and statistics that two steps of training change, of images, texts and heads."""
    model = new_attacker(name, SMALL, 0)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    adamw = optimizer(model, 1e-3, 0.0)
    model.train()
    images, tokens = torch.rand(4, 3, 64, 64), model.rows([model.encode(text) for text in NAMES[:4]])
    for _ in range(2):
        adamw.zero_grad()
        clip_loss(model.images(images), model.text(tokens), model.scale).backward()
        adamw.step()
    return {key for key, value in model.state_dict().items() if not torch.equal(before[key], value)}


def test_lora_moves_additions_to_both_towers_and_the_heads_alone():
    names = moved("pretrained-lora") - {"model.logit_scale"}
    towers, heads = (
        {n for n in names if n.startswith(("model.image.", "model.text."))},
        {n for n in names if n.startswith(("model.image_head.", "model.text_head."))},
    )
    assert names == towers | heads and len(heads) == 4
    assert all("lora_" in name for name in towers)
    assert {name.split(".")[1] for name in towers} == {"image", "text"}


def test_fine_tuning_moves_every_kind_of_weight():
    names = moved("pretrained-finetune")
    assert any(n.startswith("model.image.") and n.endswith("weight") for n in names)
    assert any(n.startswith("model.text.") for n in names) and any("running_mean" in n for n in names)
    assert {"model.image_head.weight", "model.text_head.weight"} <= names


def test_lora_needs_peft(monkeypatch):
    monkeypatch.setattr(built_in, "find_spec", lambda name: None if name == "peft" else "there")
    with pytest.raises(ImportError, match=r"and peft, not all found; pip install '.*peft"):
        attacker_size("pretrained-lora", SMALL)
    assert attacker_size("pretrained-finetune", SMALL) == 64
