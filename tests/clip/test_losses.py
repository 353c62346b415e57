"""The contrastive loss against its textbook form."""

import math

import pytest
import torch
import torch.nn.functional as F

from protect.clip.losses import clip_loss, clip_rows


def features(rows, width=6, seed=0):
    return F.normalize(torch.randn(rows, width, generator=torch.Generator().manual_seed(seed)), dim=1)


def test_loss_is_the_mean_of_both_cross_entropies():
    images, texts, scale = features(5), features(5, seed=1), torch.tensor(14.0)
    similarities = 14.0 * torch.tensor([[float(a @ b) for b in texts] for a in images])
    entropy, match = torch.nn.CrossEntropyLoss(), torch.arange(5)
    expected = (entropy(similarities, match) + entropy(similarities.T, match)) / 2
    assert torch.allclose(clip_loss(images, texts, scale), expected)


def test_loss_of_two_pairs_by_hand():
    images = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    texts = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    by_image = (math.log(1 + math.exp(0)), math.log(2))  # an image finds both texts equal
    by_text = (math.log(1 + math.exp(-3)), math.log(1 + math.exp(3)))  # both texts find the first image
    expected = [(a + b) / 2 for a, b in zip(by_image, by_text, strict=True)]
    assert clip_rows(images, texts, torch.tensor(3.0)).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_identical_features_give_chance(batch):
    same = features(1).expand(batch, -1)
    assert clip_loss(same, same, torch.tensor(50.0)).item() == pytest.approx(math.log(batch), abs=1e-5)


def test_rows_average_to_the_loss_and_move_with_their_pair():
    images, texts, scale = features(6), features(6, seed=1), torch.tensor(10.0)
    rows = clip_rows(images, texts, scale)
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    assert torch.allclose(rows.mean(), clip_loss(images, texts, scale))
    assert torch.allclose(clip_rows(images[order], texts[order], scale), rows[order])


def test_matching_pairs_cost_less_than_shuffled_ones():
    images, scale = features(8, width=32), torch.tensor(20.0)
    assert clip_loss(images, images, scale) < clip_loss(images, images.roll(1, 0), scale)
