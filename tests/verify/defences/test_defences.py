"""Training-time countermeasures: each does what its name says to a picture, a caption or the training."""

import numpy as np
import pytest
import torch

from protect.clip.losses import clip_loss, clip_rows
from protect.clip.models import load_encoder, optimizer
from protect.settings.verify import VerifySettings
from protect.verify.attackers.tiny_hf import tiny_hf
from protect.verify.attackers.train import train
from protect.verify.defences import DEFENCES, Defence, StepInputs, adversarial, cleanclip, safeclip, ueraser
from protect.verify.defences import strong_augment as augment
from protect.verify.defences.layer_order import image_tower, text_tower
from protect.verify.defences.safeclip import closer_group, largest
from protect.verify.reading.pairs import JudgedPairs, Pairs

CPU = torch.device("cpu")
SETTINGS = VerifySettings(attackers=("tiny-vit",), epochs=10, batch=8, size=32, device="cpu")
WARM = VerifySettings(attackers=("tiny-vit",), epochs=10, batch=8, size=32, pretrained="weights", device="cpu")
PARTIAL = ("frozen-tower", "lora")


@pytest.fixture(autouse=True)
def drawn():
    """Every test draws from the same place, and leaves the generator alone."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def network(name="tiny-vit"):
    return load_encoder(name, CPU, size=32, seed=1).train()


def inputs(batch=8, done=0.0):
    captions = [(i + 1, 2 * i + 5, 7, 300 + i) for i in range(batch)]
    return StepInputs(torch.arange(batch), torch.rand(batch, 3, 32, 32), captions, done)


def weights(model):
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def moved(before, model):
    return {name for name, value in model.state_dict().items() if not torch.equal(before[name], value)}


def taught(defence, model, batch):
    return defence.step(optimizer(model, 1e-3, 0.2), batch)


# Plain


def test_the_plain_step_is_contrastive_learning():
    model, other, batch = network(), network(), inputs()
    loss = taught(Defence(model, SETTINGS), model, batch)
    expected = clip_loss(other.images(batch.images), other.text(other.rows(batch.captions)), other.scale)
    assert loss == expected.detach() and not loss.requires_grad
    adamw = optimizer(other, 1e-3, 0.2)
    expected.backward()
    adamw.step()
    assert moved(weights(other), model) == set()


def test_the_rate_is_a_share_of_the_schedules():
    model = network()
    defence, adamw = Defence(model, SETTINGS), optimizer(model, 1e-3, 0.2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(adamw, 1e-3, total_steps=10)
    planned = schedule.get_last_lr()[0]
    defence.rate = 0.25
    defence.step(adamw, inputs())
    assert adamw.param_groups[0]["lr"] == pytest.approx(planned / 4)
    schedule.step()
    assert adamw.param_groups[0]["lr"] == schedule.get_last_lr()[0] > planned


# Augmentation


def test_strong_pictures_stay_pictures_and_differ_from_each_other():
    images = torch.rand(1, 3, 32, 32).expand(8, -1, -1, -1)
    found = augment.strong_images(images)
    assert found.shape == images.shape and found.dtype == torch.float32
    assert found.min() >= 0 and found.max() <= 1
    assert len({picture.numpy().tobytes() for picture in found}) == 8
    torch.manual_seed(5)
    first = augment.strong_images(images)
    torch.manual_seed(5)
    assert torch.equal(augment.strong_images(images), first)


def test_plasma_is_a_smooth_cloud_from_0_to_1():
    cloud = augment.plasma(torch.zeros(16, 3, 32, 24))
    assert cloud.shape == (16, 1, 32, 24)
    assert torch.equal(cloud.amin((1, 2, 3)), torch.zeros(16))
    assert torch.allclose(cloud.amax((1, 2, 3)), torch.ones(16))
    steps = (cloud[..., 1:] - cloud[..., :-1]).abs().mean()
    shuffled = cloud.flatten(2)[..., torch.randperm(32 * 24)]
    assert steps < 0.6 * (shuffled[..., 1:] - shuffled[..., :-1]).abs().mean()


def test_channels_change_places_in_about_half_of_the_pictures():
    images = torch.tensor([0.1, 0.2, 0.3]).view(1, 3, 1, 1).expand(600, 3, 2, 2)
    found = augment.shuffled_channels(images)
    assert torch.equal(found.sort(dim=1).values, images)
    same = (found == images).all(dim=(1, 2, 3)).float().mean()
    assert 0.5 < same < 0.67  # half, and a sixth of the other half


def test_changed_captions_lose_and_swap_some_tokens_and_are_never_empty():
    captions = [tuple(range(10)), (7,), (8, 9), ()] * 300
    found = augment.changed_captions(captions)
    assert all(set(new) <= set(old) and len(set(new)) == len(new) for new, old in zip(found, captions, strict=True))
    assert all(len(new) >= min(1, len(old)) for new, old in zip(found, captions, strict=True))
    long = [new for new, old in zip(found, captions, strict=True) if len(old) == 10]
    assert 8.7 < np.mean([len(new) for new in long]) < 9.3
    assert any(list(new) != sorted(new) for new in long) and any(new == tuple(range(10)) for new in long)


# UEraser


def test_ueraser_learns_from_the_version_with_the_greatest_loss(monkeypatch):
    model, batch = network(), inputs()
    versions = [torch.rand_like(batch.images) for _ in range(5)]
    queue = iter(versions)
    monkeypatch.setattr(ueraser, "strong_images", lambda images: next(queue))
    texts = model.text(model.rows(batch.captions)).detach()
    with torch.no_grad():
        losses = torch.stack([clip_rows(model.images(v), texts, model.scale) for v in versions])
    found = DEFENCES["ueraser"](model, SETTINGS).hardest(batch.images, texts)
    best = losses.max(dim=0).indices
    assert len(set(best.tolist())) > 1
    assert torch.equal(found, torch.stack([versions[k][i] for i, k in enumerate(best.tolist())]))
    assert next(queue, None) is None


def test_light_ueraser_augments_once_and_does_not_search(monkeypatch):
    model, batch, calls = network(), inputs(), []
    other = torch.rand_like(batch.images)
    monkeypatch.setattr(ueraser, "strong_images", lambda images: calls.append(images) or other)
    loss = DEFENCES["ueraser-light"](model, SETTINGS).loss(batch)
    plain = Defence(model, SETTINGS).loss(batch._replace(images=other))
    assert len(calls) == 1 and torch.equal(loss, plain)


# Adversarial training


def test_adversarial_pictures_stay_within_epsilon_and_raise_the_loss():
    model, batch = network(), inputs()
    defence, texts = DEFENCES["adversarial"](model, SETTINGS), model.text(model.rows(batch.captions)).detach()

    def loss(images):
        return clip_loss(model.images(images), texts, model.scale).item()

    images = defence.moved(batch.images, texts)
    noise = torch.empty_like(images).uniform_(-defence.epsilon, defence.epsilon)
    assert (images - batch.images).abs().max() <= 4 / 255 + 1e-6
    assert images.min() >= 0 and images.max() <= 1
    assert loss(images) > loss(batch.images) + 0.1
    assert loss(images) > loss((batch.images + noise).clamp(0, 1)) + 0.1
    assert all(p.grad is None for p in model.parameters())


def test_adversarial_training_learns_from_the_moved_pictures(monkeypatch):
    model, batch = network(), inputs()
    other = torch.rand_like(batch.images)
    monkeypatch.setattr(adversarial.Adversarial, "moved", lambda self, images, texts: other)
    plain = Defence(model, SETTINGS).loss(batch._replace(images=other))
    assert torch.equal(DEFENCES["adversarial"](model, SETTINGS).loss(batch), plain)


# Staged training


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [("tiny-resnet", "model.visual.conv1", "model.visual.attnpool"), ("tiny-vit", "model.visual.conv1.0", "proj")],
)
def test_towers_are_ordered_from_shallow_to_deep(name, first, last):
    model = network(name)
    names = {id(p): n for n, p in model.named_parameters()}
    images, texts = ([names[id(p)] for p in tower(model)] for tower in (image_tower, text_tower))
    assert any(n.startswith(first) for n in images[:3]) and last in images[-1]
    assert "token_embedding" in texts[0] + texts[1] and "text_projection" in texts[-1]
    unused = {n for n in names.values() if n.endswith(("logit_scale", "attnpool.k_proj.bias"))}  # softmax cancels it
    assert sorted(images + texts) == sorted(set(names.values()) - unused)
    assert all(p.grad is None for p in model.parameters())


def test_towers_of_transformers_are_found_too():
    model = tiny_hf(["a dog"], CPU, 32)
    names = {id(p): n for n, p in model.named_parameters()}
    images, texts = ([names[id(p)] for p in tower(model)] for tower in (image_tower, text_tower))
    assert "visual_projection" in images[-1] and "text_projection" in texts[-1]
    assert any("patch_embedding" in n for n in images[:4])


def test_staged_training_stops_shallow_layers_first():
    model = network("tiny-resnet")
    buffers = weights(model)
    defence = DEFENCES["staged"](model, SETTINGS)
    assert moved(buffers, model) == set() and model.training
    towers = [image_tower(model), text_tower(model)]
    shares = []
    for done in (0.05, 0.325, 0.55, 0.955):
        defence.loss(inputs(done=done))
        learns = [[p.requires_grad for p in tower] for tower in towers]
        assert all(tower == sorted(tower) for tower in learns)  # none below one that stopped still learns
        shares.append(sum(map(sum, learns)) / sum(map(len, learns)))
    assert shares == pytest.approx([1, 0.75, 0.5, 0.05], abs=0.04) and shares[-1] > 0


def test_what_stopped_does_not_move():
    model = network()
    defence, tower = DEFENCES["staged"](model, SETTINGS), image_tower(model)
    before = [p.detach().clone() for p in tower]
    taught(defence, model, inputs(done=0.55))
    still = [torch.equal(a, b) for a, b in zip(before, tower, strict=True)]
    assert all(still[: len(tower) // 2]) and not any(still[len(tower) // 2 + 1 :])


# CleanCLIP and SafeCLIP


def test_cleanclip_adds_in_modal_contrast(monkeypatch):
    model, batch = network(), inputs()
    other = torch.rand_like(batch.images)
    monkeypatch.setattr(cleanclip, "strong_images", lambda images: other)
    monkeypatch.setattr(cleanclip, "changed_captions", lambda captions: [caption[1:] for caption in captions])
    images, texts = model.images(batch.images), model.text(model.rows(batch.captions))
    others = model.text(model.rows([caption[1:] for caption in batch.captions]))
    pictures = clip_loss(images, model.images(other), model.scale)
    captions = clip_loss(texts, others, model.scale)
    expected = clip_loss(images, texts, model.scale) + (pictures + captions) / 2
    assert torch.allclose(DEFENCES["cleanclip"](model, SETTINGS).loss(batch), expected)


def test_the_closer_group_is_the_one_of_greater_similarity():
    low, high = 0.1 + 0.02 * torch.randn(300), 0.4 + 0.02 * torch.randn(100)
    x = torch.cat([low, high, torch.tensor([-1.0, 0.9])])
    safe = closer_group(x)
    assert safe[300:400].all() and not safe[:300].any()
    assert not safe[400] and safe[401]
    assert closer_group(x.float().flip(0)).tolist() == safe.tolist()[::-1]
    even = closer_group(torch.rand(200))
    assert even.sum() < 200


def test_largest_keeps_the_greatest():
    assert largest(torch.tensor([0.1, 0.9, 0.5]), 2).tolist() == [False, True, True]
    assert largest(torch.tensor([0.1, 0.9]), 5).all()


def test_safeclip_warms_up_then_goes_slowly_then_splits():
    defence, asked = DEFENCES["safeclip"](network(), SETTINGS), []

    def similarities():
        asked.append(1)
        return torch.cat([0.1 + 0.01 * torch.randn(80), 0.5 + 0.01 * torch.randn(20)])

    phases, rates, sizes = [], [], []
    for epoch in range(1, 7):
        defence.begin(epoch, similarities)
        phases.append(defence.phase)
        rates.append(defence.rate)
        sizes.append(0 if defence.safe is None else int(defence.safe.sum()))
    assert phases == ["in-modal", "in-modal", "slow", "split", "split", "split"]
    assert rates == [1, 1, 0.01, 1, 1, 1]
    assert sizes == [0, 0, 0, 20, 21, 22] and len(asked) == 3
    assert defence.safe[80:].all()


def test_safeclip_contrasts_safe_pairs_only(monkeypatch):
    same = lambda value: value  # noqa: E731
    monkeypatch.setattr(cleanclip, "strong_images", same)
    monkeypatch.setattr(cleanclip, "changed_captions", same)
    model, batch = network().eval(), inputs()
    defence = DEFENCES["safeclip"](model, SETTINGS)
    images, texts = model.images(batch.images), model.text(model.rows(batch.captions))

    def contrast(rows):
        return clip_loss(images[rows], texts[rows], model.scale)

    def in_modal(rows):
        x, t = images[rows], texts[rows]
        return (clip_loss(x, x, model.scale) + clip_loss(t, t, model.scale)) / 2

    assert torch.allclose(defence.loss(batch), in_modal(slice(None)), atol=1e-5)
    defence.phase, defence.safe = "split", torch.tensor([True] * 2 + [False] * 6)
    expected = contrast(slice(2)) / 4 + 3 * in_modal(slice(2, None)) / 4
    assert torch.allclose(defence.loss(batch), expected, atol=1e-5)
    defence.safe = torch.ones(8, dtype=torch.bool)
    assert torch.allclose(defence.loss(batch), contrast(slice(None)), atol=1e-5)
    defence.safe = ~defence.safe
    assert torch.allclose(defence.loss(batch), in_modal(slice(None)), atol=1e-5)
    defence.phase = "slow"
    assert torch.allclose(defence.loss(batch), contrast(slice(None)), atol=1e-5)
    assert safeclip.LOW_RATE < 1


# Tuning little of a trained model


@pytest.mark.parametrize("name", PARTIAL)
def test_tuning_little_needs_weights(name):
    with pytest.raises(ValueError, match="pretrained: expected to be set for the defence"):
        DEFENCES[name](network(), SETTINGS)


def test_a_frozen_tower_does_not_move_and_the_other_does():
    model = network("tiny-resnet")
    before = weights(model)
    taught(DEFENCES["frozen-tower"](model, WARM), model.train(), inputs())
    changed = moved(before, model)
    assert changed and not any("visual" in name for name in changed)
    assert any("transformer" in name for name in changed)


@pytest.mark.parametrize("name", ["tiny-resnet", "tiny-vit"])
def test_lora_starts_as_the_model_and_moves_low_rank_only(name):
    model, batch = network(name).eval(), inputs()
    before, kept = model.images(batch.images).detach(), weights(model)
    defence = DEFENCES["lora"](model, WARM)
    assert torch.allclose(model.images(batch.images), before, atol=1e-6)
    taught(defence, model, batch)
    taught(defence, model, batch)
    assert not torch.allclose(model.images(batch.images), before, atol=1e-4)
    learned = {n for n, p in model.named_parameters() if p.requires_grad}
    assert learned and all(n.endswith((".up", ".down")) for n in learned)
    now = model.state_dict()
    for key, value in kept.items():
        path, _, last = key.rpartition(".")
        assert torch.equal(now.get(key, now.get(f"{path}.parametrizations.{last}.original")), value), key


# EDA


def test_eda_changes_captions_anew_at_each_step_and_no_picture():
    model, batch = network().eval(), inputs(64)
    defence = DEFENCES["eda"](model, SETTINGS)
    one, other = defence.text(batch), defence.text(batch)
    plain = model.text(model.rows(batch.captions))
    assert not torch.equal(one, other) and not torch.equal(one, plain)
    same = (one == plain).all(1).float().mean()
    assert 0.2 < same < 0.9  # most captions of four tokens lose or swap one, not all


# All of them


def scenes(count):
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 256, (36, 40, 3), dtype=np.uint8) for _ in range(count)]
    captions = tuple((f"picture number {i} of a harbour",) for i in range(count))
    images = torch.from_numpy(np.stack([picture[:32, :32] for picture in pictures])).permute(0, 3, 1, 2)
    keys = tuple(map(str, range(count)))
    return Pairs(keys, pictures, captions), JudgedPairs(keys, images, captions)


@pytest.mark.parametrize("name", [name for name in DEFENCES if name and name not in PARTIAL])
def test_every_defence_trains_and_the_same_seed_gives_the_same_numbers(name):
    pairs, test = scenes(8)
    settings = VerifySettings(attackers=("tiny-vit",), epochs=5, batch=4, size=32, device="cpu")
    runs = [list(train(pairs, test, "tiny-vit", settings, 0, steps=1, defence=name)) for _ in range(2)]
    assert runs[0] == runs[1] and len(runs[0]) == 6
    assert len({result.loss for result in runs[0]}) == 6


@pytest.mark.parametrize("name", PARTIAL)
def test_partial_tuning_trains_from_weights(name, tmp_path):
    path = tmp_path / "model.pt"
    torch.save(network().model.state_dict(), path)
    pairs, test = scenes(16)
    settings = VerifySettings(attackers=("tiny-vit",), epochs=1, batch=8, size=32, pretrained=str(path), device="cpu")
    results = list(train(pairs, test, "tiny-vit", settings, 0, defence=name))
    assert results[1].loss > 0
