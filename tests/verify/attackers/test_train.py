"""One attacker: the same numbers from the same seed, every pair in turn, every model family, clear refusals."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from protect.clip.models import load_encoder
from protect.clip.open_clip_import import open_clip
from protect.settings.verify import VerifySettings
from protect.verify.attackers import train as attackers
from protect.verify.attackers.train import attacker_size, new_attacker, one_each, seen, train
from protect.verify.attackers.wordpiece import learned_tokenizer
from protect.verify.defences import Defence
from protect.verify.reading.pairs import JudgedPairs, Pairs
from protect.verify.records import RECALL, judged_by

CPU = torch.device("cpu")
SMALL = VerifySettings(attackers=("tiny-resnet",), epochs=1, batch=16, size=32, device="cpu")
COLOURS = {"red": (220, 30, 30), "green": (30, 200, 60), "blue": (40, 60, 220), "white": (240, 240, 240)}


def scene(number):
    """A block of one colour on a dark ground of another, wider than high; and two captions that say so."""
    names = list(COLOURS)
    block, ground = names[number % 4], names[number // 4 % 4]
    image = Image.new("RGB", (44, 40), tuple(value // 3 for value in COLOURS[ground]))
    image.paste(COLOURS[block], (number // 16 * 7, 8, number // 16 * 7 + 14, 24))
    return np.asarray(image), (f"a {block} block on {ground}, number {number}", f"also number {number}")


def scenes(numbers):
    pictures, captions = zip(*map(scene, numbers), strict=True)
    return Pairs(tuple(map(str, numbers)), pictures, captions)


def judged(numbers, size=32):
    pairs = scenes(numbers)
    images = torch.from_numpy(np.stack([picture[4:36, 6:38] for picture in pairs.pictures])).permute(0, 3, 1, 2)
    return JudgedPairs(pairs.keys, images, pairs.captions)


PAIRS, TEST = scenes(range(48)), judged(range(48, 64))


def watch_steps(monkeypatch, loss=0.0):
    """Steps that learn nothing; returns what they were given."""
    steps = []

    def step(defence, optimizer, given):
        steps.append(given)
        optimizer.step()
        return torch.tensor(loss)

    monkeypatch.setattr(Defence, "step", step)
    return steps


@pytest.mark.parametrize("name", ["tiny-resnet", "tiny-hf"])
def test_the_same_seed_gives_the_same_numbers_whatever_was_drawn_before(name):
    first = list(train(PAIRS, TEST, name, SMALL, 0))
    torch.rand(7)
    before = torch.get_rng_state()
    again = []
    for result in train(PAIRS, TEST, name, SMALL, 0):
        assert torch.equal(torch.get_rng_state(), before)
        again.append(result)
    other = list(train(PAIRS, TEST, name, SMALL, 1))
    assert first == again and len(first) == 2
    assert (first[0].epoch, first[0].loss) == (0, None)
    assert first[1].loss != other[1].loss


@pytest.mark.parametrize("name", ["tiny-resnet", "tiny-hf"])
def test_training_moves_towards_the_pairs(name):
    settings = VerifySettings(attackers=(name,), epochs=6, batch=16, size=32, learning_rate=2e-3, device="cpu")
    results = list(train(PAIRS, TEST, name, settings, seed=0))
    assert results[-1].loss < results[1].loss < 3.2


@pytest.mark.parametrize(("steps", "expected"), [(0, 3), (5, 5)])
def test_an_epoch_has_its_steps_and_no_pair_twice_in_a_pass(monkeypatch, steps, expected):
    given = watch_steps(monkeypatch)
    list(train(PAIRS, TEST, "tiny-resnet", replace(SMALL, augment="none"), 0, steps))
    assert [g.done for g in given] == pytest.approx([i / expected for i in range(expected)])
    chosen = torch.cat([g.chosen for g in given[:3]])
    assert sorted(chosen.tolist()) == list(range(48))
    expected_views = seen(PAIRS, chosen.tolist(), attackers.VIEWS["none"](32), CPU)
    assert torch.equal(torch.cat([g.images for g in given[:3]]), expected_views)
    assert given[0].images.shape == (16, 3, 32, 32) and given[0].images.max() <= 1


def test_every_caption_of_an_image_is_used_in_turn_and_belongs_to_it(monkeypatch):
    given = watch_steps(monkeypatch)
    list(train(PAIRS, TEST, "tiny-resnet", SMALL, 0, steps=30))
    model = new_attacker("tiny-resnet", SMALL, 0)
    own = [{model.encode(line) for line in lines} for lines in PAIRS.captions]
    used = Counter()
    for g in given:
        for i, caption in zip(g.chosen.tolist(), g.captions, strict=True):
            assert caption in own[i]
            used[caption] += 1
    assert len(used) > 90  # of 96


def test_views_are_drawn_anew_at_every_step(monkeypatch):
    given = watch_steps(monkeypatch)
    list(train(PAIRS, TEST, "tiny-resnet", SMALL, 0, steps=6))
    of_pair = [g.images[g.chosen.tolist().index(5)] for g in given if 5 in g.chosen.tolist()]
    assert len(of_pair) == 2 and not torch.equal(*of_pair)


def test_one_each_draws_evenly():
    rows = [[(1,), (2,), (3,)]] * 2
    random = torch.Generator().manual_seed(0)
    found = Counter(c for _ in range(300) for c in one_each(rows, torch.tensor([0, 1]), random))
    assert set(found) == {(1,), (2,), (3,)} and min(found.values()) > 150


def test_a_loss_that_is_no_number_is_an_error(monkeypatch):
    watch_steps(monkeypatch, float("nan"))
    with pytest.raises(ValueError, match="lower learning_rate"):
        list(train(PAIRS, TEST, "tiny-resnet", SMALL, 0))


def test_too_few_pairs_for_a_batch_are_an_error():
    with pytest.raises(ValueError, match=r"at most the arm's 15 pairs, got 16"):
        list(train(scenes(range(15)), TEST, "tiny-resnet", SMALL, 0))


def test_similarities_are_cosines_of_each_pair():
    model = new_attacker("tiny-resnet", SMALL, 0)
    rows = attackers.encoded(model, PAIRS)
    found = attackers.similarities(model, PAIRS, rows)
    images = model.images(seen(PAIRS, range(48), attackers.VIEWS["none"](32), CPU))
    texts = model.text(model.rows([row[0] for row in rows]))
    assert torch.allclose(found, (images @ texts.T).diagonal(), atol=1e-5)


# Families


@pytest.mark.parametrize("name", ["tiny-resnet", "tiny-vit", "tiny-hf"])
def test_without_a_size_attackers_have_their_own(name):
    settings = VerifySettings((name,), device="cpu")
    assert new_attacker(name, settings, 0, ["a dog"]).size == attacker_size(name, settings)


def test_arms_start_from_the_same_weights_with_tiny_hf():
    first, other = (new_attacker("tiny-hf", SMALL, 0, captions) for captions in (["a dog"], ["zebra crossing!"]))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True))
    assert first.encode("a dog") != other.encode("a dog")


def test_tiny_hf_pads_without_effect_and_ends_captions():
    model = new_attacker("tiny-hf", SMALL, 0, ["a dog", "two cats and a dog"]).eval()
    short, long = model.encode("a dog"), model.encode("two cats and a dog")
    alone, beside = model.text(model.rows([short])), model.text(model.rows([short, long]))
    assert torch.allclose(alone[0], beside[0], atol=1e-5)
    assert not torch.allclose(beside[0], beside[1], atol=1e-3)
    row = model.rows([short])[0].tolist()
    assert row == [model.start_token, *short, model.end_token]


def test_tiny_hf_refuses_what_it_cannot_be():
    with pytest.raises(ValueError, match="multiple of 8 for tiny-hf, got 60"):
        new_attacker("tiny-hf", VerifySettings(size=60), 0, ["a"])
    with pytest.raises(ValueError, match="expected attackers that can have weights, got tiny-hf"):
        new_attacker("tiny-hf", VerifySettings(pretrained="some.pt"), 0, ["a"])


@pytest.fixture(scope="module", params=["clip", "siglip"])
def folder(request, tmp_path_factory):
    """A small dual-tower model of transformers with its own tokenizer, saved with weights."""
    open_clip()
    from transformers import CLIPConfig, CLIPModel, SiglipConfig, SiglipModel

    captions = [line for lines in PAIRS.captions for line in lines]
    tokenizer = learned_tokenizer(captions, 16)
    blocks = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {**blocks, "vocab_size": len(tokenizer), "max_position_embeddings": 16}
    text |= {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": 0}
    vision = {**blocks, "image_size": 48, "patch_size": 16}
    path = tmp_path_factory.mktemp(request.param)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if request.param == "clip":
            model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8))
        else:
            text["projection_size"] = 16
            model = SiglipModel(SiglipConfig(text_config=text, vision_config=vision))
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def test_a_folder_trains_from_scratch_unless_weights_are_asked_for(folder):
    name, warm = str(folder), VerifySettings(attackers=(str(folder),), pretrained="own", size=32, device="cpu")
    scratch, again = (new_attacker(name, SMALL, 0) for _ in range(2))
    saved, trained = load_encoder(name, CPU), new_attacker(name, warm, 0)
    weights = [dict(model.named_parameters())["model.logit_scale"] for model in (scratch, saved)]
    assert weights[0].item() == pytest.approx(2.6593, abs=1e-4)
    assert all(torch.equal(a, b) for a, b in zip(saved.parameters(), trained.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(scratch.parameters(), again.parameters(), strict=True))
    tables = [model.embedding_table for model in (scratch, saved)]
    assert tables[0].shape == tables[1].shape and not torch.equal(*tables)
    assert (scratch.size, trained.size) == (32, 48)
    assert (attacker_size(name, SMALL), attacker_size(name, warm)) == (32, 48)


def test_a_folder_without_weights_is_an_attacker(folder, tmp_path):
    for path in folder.iterdir():
        if path.suffix != ".safetensors":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    results = list(train(PAIRS, TEST, str(tmp_path), SMALL, 0, steps=1))
    assert results[1].loss > 0


def test_captions_read_the_same_alone_and_in_company(folder):
    model = new_attacker(str(folder), SMALL, 0).eval()
    short, long = model.encode("a red block"), model.encode("a red block on green, number 5")
    alone, beside = model.text(model.rows([short])), model.text(model.rows([short, long]))
    assert torch.allclose(alone[0], beside[0], atol=1e-5)


def test_names_that_are_no_model_are_refused(tmp_path):
    with pytest.raises(ValueError, match="expected a saved CLIP model and tokenizer"):
        new_attacker(str(tmp_path), SMALL, 0)
    with pytest.raises(ValueError, match="expected an open_clip name"):
        attacker_size("RN5000", SMALL)
    assert attacker_size("tiny-hf", VerifySettings()) == 64 and attacker_size("RN50", VerifySettings()) == 224


def test_weights_are_what_pretrained_names(tmp_path):
    trained = load_encoder("tiny-vit", CPU, size=32, seed=9)
    torch.save(trained.model.state_dict(), tmp_path / "model.pt")
    settings = VerifySettings(attackers=("tiny-vit",), size=32, pretrained=str(tmp_path / "model.pt"), device="cpu")
    warm = new_attacker("tiny-vit", settings, 0)
    assert all(torch.equal(a, b) for a, b in zip(warm.parameters(), trained.parameters(), strict=True))


def test_changed_test_pairs_are_judged_beside_the_plain_ones_and_change_nothing_else():
    dark = replace(TEST, images=TEST.images // 4, captions=tuple((lines[0],) for lines in TEST.captions))
    plain, both = (list(train(PAIRS, TEST, "tiny-resnet", SMALL, 0, transformed=one)) for one in (None, dark))
    assert all(result.transformed == {} for result in plain)
    assert [replace(result, transformed={}, pictures=None) for result in both] == [
        replace(one, pictures=None) for one in plain
    ]
    for result in both:
        assert result.transformed.keys() == result.metrics.keys() and result.transformed != result.metrics
        assert result.better in (result.transformed, result.metrics)
        assert result.score == max(judged_by(metrics, RECALL) for metrics in (result.transformed, result.metrics))
