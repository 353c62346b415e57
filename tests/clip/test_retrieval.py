from itertools import permutations

import pytest
import torch
import torch.nn.functional as F

from protect.clip import retrieval as metrics
from protect.clip.retrieval import chance, ranks, retrieval


def features(count, seed, width=4):
    return F.normalize(torch.randn(count, width, generator=torch.Generator().manual_seed(seed)), dim=-1)


def by_hand(images, texts, owner):
    """Ranks by sorting, one query at a time."""
    scores, owner = (images @ texts.T).tolist(), owner.tolist()
    to_image = []
    for t, own in enumerate(owner):
        order = sorted(range(len(images)), key=lambda i: -scores[i][t])
        to_image.append(order.index(own) + 1)
    to_text = []
    for i in range(len(images)):
        order = sorted(range(len(texts)), key=lambda t: -scores[i][t])
        to_text.append(min(order.index(t) for t in range(len(texts)) if owner[t] == i) + 1)
    return to_image, to_text


@pytest.mark.parametrize("chunk", [1024, 7])
def test_retrieval_agrees_with_sorting_by_hand(monkeypatch, chunk):
    monkeypatch.setattr(metrics, "CHUNK", chunk)
    counts = torch.randint(1, 6, (40,), generator=torch.Generator().manual_seed(1))
    owner = torch.arange(40).repeat_interleave(counts)
    owner = owner[torch.randperm(len(owner), generator=torch.Generator().manual_seed(2))]
    images, texts = features(40, 3), features(len(owner), 4)
    found = retrieval(images, texts, owner)
    for name, places in zip(("image", "text"), by_hand(images, texts, owner), strict=True):
        for k in (1, 5, 10):
            hits = sum(rank <= k for rank in places) / len(places)
            assert found[f"{name}_retrieval_recall@{k}"] == pytest.approx(hits)
        middle = sorted(places)[(len(places) - 1) // 2 : len(places) // 2 + 1]
        assert found[f"{name}_retrieval_median_rank"] == sum(middle) // len(middle)
        items = {"image": len(images), "text": len(texts)}[name]
        percentile = 1 - (sum(places) / len(places) - 0.5) / items
        assert found[f"{name}_retrieval_mean_percentile_rank"] == pytest.approx(percentile)


def test_results_by_picture_are_means_of_its_queries():
    images, owner = torch.eye(3), torch.tensor([0, 0, 1, 2])
    texts = torch.eye(3)[[0, 1, 1, 2]]  # the second caption of image 0 describes image 1
    places = ranks(images, texts, owner)
    assert places.of_texts.tolist() == [1, 3, 1, 1] and places.of_images.tolist() == [1, 2, 1]  # ties come last
    assert places.hits(1).tolist() == pytest.approx([(0.5 + 1) / 2, (1 + 0) / 2, 1])
    to_image, to_text = [1 - 0.5 / 3, 1 - 2.5 / 3], [1 - 0.5 / 4, 1 - 1.5 / 4]
    expected = [((to_image[0] + to_image[1]) / 2 + to_text[0]) / 2, (to_image[0] + to_text[1]) / 2]
    assert places.percentiles()[:2].tolist() == pytest.approx(expected)


def test_perfect_features_come_first():
    images = torch.eye(12)
    found = retrieval(images, images.repeat_interleave(2, 0), torch.arange(12).repeat_interleave(2))
    assert found.pop("image_retrieval_mean_percentile_rank") == pytest.approx(1 - 0.5 / 12)
    assert found.pop("text_retrieval_mean_percentile_rank") == pytest.approx(1 - 0.5 / 24)
    assert all(value == 1 for value in found.values())


def test_one_good_caption_suffices_for_its_image():
    images, owner = torch.eye(3), torch.tensor([0, 0, 1, 2])
    texts = torch.eye(3)[[0, 1, 1, 2]]  # the second caption of image 0 describes image 1
    found = retrieval(images, texts, owner)
    assert found["image_retrieval_recall@1"] == pytest.approx(3 / 4)
    assert found["text_retrieval_recall@1"] == pytest.approx(2 / 3)  # image 1 shares its best text: a tie


@pytest.mark.parametrize("value", [0.5, float("nan")])
def test_a_collapsed_network_comes_last(value):
    same = torch.full((20, 4), value)
    found = retrieval(same, same, torch.arange(20))
    assert found["image_retrieval_recall@10"] == found["text_retrieval_recall@10"] == 0
    assert found["image_retrieval_median_rank"] == found["text_retrieval_median_rank"] == 20


@pytest.mark.parametrize("owner", [[0, 0, 2], [0, 1, 3]])
def test_wrong_owners_are_refused(owner):
    with pytest.raises(ValueError, match="expected one owner a text"):
        retrieval(torch.eye(3), torch.eye(3), torch.tensor(owner))


@pytest.mark.parametrize("counts", [[1, 1, 1, 1, 1, 1], [2, 1, 3], [2, 2]])
def test_chance_is_the_mean_over_all_rankings(counts):
    owner = [i for i, count in enumerate(counts) for _ in range(count)]
    found = chance(counts)
    for k in (1, 5):
        hits = [i in order[:k] for order in permutations(owner) for i in range(len(counts))]
        assert found[f"text_retrieval_recall@{k}"] == pytest.approx(sum(hits) / len(hits))
        assert found[f"image_retrieval_recall@{k}"] == pytest.approx(min(1, k / len(counts)))
    places = sorted(order.index(i) + 1 for order in permutations(owner) for i in range(len(counts)))
    assert found["text_retrieval_median_rank"] == places[(len(places) - 1) // 2]
    percentile = 1 - (sum(places) / len(places) - 0.5) / len(owner)
    assert found["text_retrieval_mean_percentile_rank"] == pytest.approx(percentile)
    assert found["image_retrieval_mean_percentile_rank"] == 0.5


def test_chance_of_the_usual_test_sets():
    five = chance([5] * 1000)
    assert five["image_retrieval_recall@10"] == 0.01
    assert five["text_retrieval_recall@10"] == pytest.approx(0.01, abs=1e-4)
    assert five["image_retrieval_median_rank"] == 500
    assert five["text_retrieval_median_rank"] == pytest.approx(647, abs=1)
    assert chance([1] * 1000)["text_retrieval_recall@10"] == pytest.approx(0.01)
    assert chance([1] * 4)["text_retrieval_recall@10"] == 1


# What clip_benchmark 1.6.2's own zeroshot_retrieval.evaluate gives for the features of `several_captions`
CLIP_BENCHMARK = {
    "image_retrieval_recall@1": 0.32499998807907104,
    "text_retrieval_recall@1": 0.42500001192092896,
    "image_retrieval_recall@5": 0.8999999761581421,
    "text_retrieval_recall@5": 0.824999988079071,
    "image_retrieval_recall@10": 0.9333333373069763,
    "text_retrieval_recall@10": 0.949999988079071,
}


def several_captions():
    """40 images with 1 to 5 captions, each caption somewhat like its image; from a formula, not a generator."""

    def waves(rows, shift):
        k = torch.arange(rows * 8, dtype=torch.float64).view(rows, 8)
        return F.normalize(torch.sin(k * k * 0.37 + shift), dim=-1).float()

    owner = torch.tensor([i for i in range(40) for _ in range(i % 5 + 1)])
    images = waves(40, 1.0)
    return images, F.normalize(waves(len(owner), 2.0) + 0.9 * images[owner], dim=-1), owner


def test_recall_agrees_with_clip_benchmark():
    found = retrieval(*several_captions())
    assert {name: found[name] for name in CLIP_BENCHMARK} == pytest.approx(CLIP_BENCHMARK, abs=1e-6)
