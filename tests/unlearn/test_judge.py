"""Figures of what a model knows, against hand-made cases and the library's own retrieval."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from protect.clip.retrieval import retrieval
from protect.unlearn import audit
from protect.unlearn.attacks import Attack
from protect.unlearn.checkpoint import load_model
from protect.unlearn.judge import gap, judge, knowledge, recalls, similarities
from protect.unlearn.pairs import Classes, Pairs
from protect.unlearn.similarity_picture import draw

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model():
    return load_model("tiny-resnet", "", CPU, size=32).eval()


def some_pairs(captions, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 255, (len(captions), 3, 32, 32), np.uint8)
    keys = tuple(map(str, range(len(captions))))
    return Pairs(keys, pixels, tuple((c,) for c in captions), tuple(c.split()[-1] for c in captions))


def test_recalls_agree_with_retrieval_where_captions_are_distinct():
    generator = torch.Generator().manual_seed(0)
    images, texts = (F.normalize(torch.randn(n, 5, generator=generator), dim=-1) for n in (40, 80))
    owner = torch.arange(40).repeat_interleave(2)
    scores, own = images @ texts.T, torch.arange(40)[:, None] == owner
    found = recalls("text_retrieval", scores, own) | recalls("image_retrieval", scores.T, own.T)
    expected = retrieval(images, texts, owner)
    assert found == pytest.approx({name: expected[name] for name in found})


def test_any_image_of_a_shared_caption_counts():
    similarity = torch.tensor([[0.9, 0.1], [0.2, 0.5], [0.8, 0.3]])
    own = torch.tensor([[True, False], [True, False], [False, True]])
    assert recalls("i2t", similarity, own)["i2t_recall@1"] == pytest.approx(1 / 3)
    found = recalls("t2i", similarity.T, own.T)
    assert found["t2i_recall@1"] == pytest.approx(1 / 2) and found["t2i_recall@5"] == 1


@pytest.mark.parametrize("value", [0.0, float("nan")])
def test_a_collapsed_model_finds_nothing(value):
    found = recalls("x", torch.full((20, 20), value), torch.eye(20, dtype=torch.bool))
    assert found == {"x_recall@1": 0, "x_recall@5": 0, "x_recall@10": 0}


def test_alignment_is_counted_in_deviations_of_foreign_captions(model):
    pairs = some_pairs(["a cat", "a dog", "a boat", "a tree"])
    found = judge(model, {"all": pairs}, None)["all"]
    images, texts = model.images(pairs.images(torch.arange(4), CPU)), model.texts([c[0] for c in pairs.captions])
    each = []
    for i, row in enumerate(model.similarity(images, texts)):
        foreign = torch.cat([row[:i], row[i + 1 :]])
        each.append((row[i] - foreign.mean()) / foreign.std(correction=0))
    assert found["alignment"] == pytest.approx(torch.stack(each).mean().item(), rel=1e-3)
    assert "alignment" not in judge(model, {"all": some_pairs(["a cat", "a dog"])}, None)["all"]


def test_sets_of_unknown_kinds_are_judged_by_retrieval(model):
    cats, facts = some_pairs(["a cat", "a dog"] * 2), some_pairs(["the sky is blue", "grass"])
    classes = Classes(("cat", "dog"), (("a cat",), ("a dog",)))
    found = judge(model, {"forget": cats, "facts": facts}, classes)
    assert "accuracy" in found["forget"] and "accuracy" not in found["facts"]
    assert knowledge(found["forget"]) == found["forget"]["accuracy"] and knowledge(found["facts"]) == 1


def test_judging_gives_accuracy_recall_and_similarity(model):
    pairs = some_pairs(["a cat", "a dog", "a cat", "a dog"])
    classes = Classes(("cat", "dog"), (("a cat",), ("a dog",)))
    found = judge(model, {"all": pairs}, classes)["all"]
    images = model.images(pairs.images(torch.arange(4), CPU))
    right = model.similarity(images, model.texts(["a cat", "a dog"])).argmax(dim=1) == torch.tensor([0, 1, 0, 1])
    assert found["accuracy"] == pytest.approx(right.float().mean().item())
    assert found["text_retrieval_recall@1"] == pytest.approx(found["accuracy"])
    true = model.matched(images, model.texts(["a cat", "a dog", "a cat", "a dog"])).mean()
    assert found["true_similarity"] == pytest.approx(true.item(), abs=1e-5)
    assert "accuracy" not in judge(model, {"all": pairs}, None)["all"]


def test_forget_and_retain_queries_search_in_both(model):
    cats, dogs = some_pairs(["a cat"] * 3), some_pairs(["a dog"] * 3, seed=1)
    alone = judge(model, {"far": cats, "other": dogs}, None)
    assert alone["far"]["text_retrieval_recall@1"] == alone["other"]["image_retrieval_recall@1"] == 1
    together = judge(model, {"forget": cats, "retain": dogs}, None)
    i2t = [together[name]["text_retrieval_recall@1"] for name in together]
    images = model.images(torch.cat([p.images(torch.arange(3), CPU) for p in (cats, dogs)]))
    right = model.similarity(images, model.texts(["a cat", "a dog"])).argmax(dim=1) == torch.tensor([0] * 3 + [1] * 3)
    assert i2t == pytest.approx([right[:3].float().mean().item(), right[3:].float().mean().item()])
    assert 0 < together["forget"]["image_retrieval_recall@1"] + together["retain"]["image_retrieval_recall@1"] <= 2


def test_similarities_do_not_depend_on_the_batch(model):
    points = F.normalize(torch.randn(600, 8, generator=torch.Generator().manual_seed(1)), dim=-1)
    assert torch.allclose(similarities(model, points, points[:7]), points @ points[:7].T, atol=1e-6)


def test_a_model_is_at_no_distance_from_itself(model):
    pairs = some_pairs(["a cat", "a dog"])
    other = load_model("tiny-resnet", "", CPU, size=32, seed=3).eval()
    assert gap(model, model, pairs, None) == 0
    assert 0 < gap(model, other, pairs, None) <= 1


def test_an_audit_compares_with_held_out_pairs(model):
    own, held_out = some_pairs(["a cat", "a dog", "a boat"]), some_pairs(["a cat", "a dog", "a boat"], seed=1)
    points = audit.embed(model, own)
    found = audit.align(model, points, own, held_out)
    true = model.matched(points.images, points.first)
    assert found.own == pytest.approx(true.mean().item())
    assert found.others == pytest.approx(model.similarity(points.images, points.texts)[~points.own].mean().item())
    unseen = audit.embed(model, held_out)
    reference = model.matched(unseen.images, unseen.first)
    assert found.forgetting == pytest.approx(
        ((reference.mean() - true.mean()) / reference.std(correction=0)).item(), rel=1e-4
    )
    same = audit.align(model, points, own, own)
    assert same.forgetting == pytest.approx(0, abs=1e-5)
    assert {one.auc for one in same.membership.values()} == {0.5}
    assert audit.align(model, points, own, None).membership is None


def known(membership, exact=0.6):
    """What an audit found, as far as the verdict asks."""
    return audit.Alignment(0.5, 0.4, None, None, membership, exact)


@pytest.mark.parametrize(
    ("membership", "says"),
    [
        ((0.5, 0.7), "Yes, most likely"),
        ((0.5, 0.51), "No sign of it"),
        ((0.3, 0.5), "something was unlearned"),
    ],
)
def test_the_plain_answer_follows_the_attack_that_finds_most(membership, says):
    found = {f"attack {i}": Attack(auc, 0.04) for i, auc in enumerate(membership)}
    assert says in audit.verdict(known(found), 100, 100)


def test_few_pairs_are_no_proof():
    assert "No sign of it" in audit.verdict(known({"loss": Attack(0.7, 0.2)}), 4, 4)


def test_without_unseen_pairs_nothing_can_be_said():
    said = audit.verdict(known(None), 100, 0)
    assert said.startswith("Cannot say") and "--forget-test" in said


@pytest.mark.parametrize(
    ("exact", "count", "says"),
    [(0.94, 100, "Probably yes: 94%"), (0.94, 8, "Cannot say"), (0.64, 1000, "Cannot say")],
)
def test_pictures_that_are_preferred_to_their_shifted_copies_look_known_by_heart(exact, count, says):
    assert audit.verdict(known(None, exact), count, 0).startswith(says)


def test_the_share_of_exact_pictures_that_are_preferred(model):
    pairs = some_pairs(["a cat", "a dog", "a boat"])

    class Partial(type(model)):
        """Agrees with a caption as much as the first pixel of the left edge is bright."""

        def images(self, x):
            bright = x[:, 0, 0, 0]
            return torch.stack([bright, (1 - bright**2).sqrt()], dim=1)

        def texts(self, captions):
            return torch.tensor([[1.0, 0.0]] * len(captions))

    pairs.pixels[:] = 0
    pairs.pixels[:2, :, 0, 0] = 200  # every shift takes that pixel away
    judged = Partial(model.towers).eval()
    share = audit.exact_share(judged, pairs, audit.embed(judged, pairs))
    assert share == pytest.approx(2 / len(pairs))


def test_the_picture_shows_matrices_on_one_scale():
    low, high = torch.zeros(3, 3), torch.eye(3)
    picture = draw([low, high])
    assert isinstance(picture, Image.Image) and picture.size == (8 * (3 + 2 + 3), 24)
    assert picture.getpixel((0, 0)) == picture.getpixel((50, 0)) == (0, 0, 255)
    assert picture.getpixel((40, 0)) == (255, 0, 0)
