"""How far similarities fall, as the owner of the pairs sees it."""

import math

import numpy as np
import pytest
import torch
from given_embeddings import GivenEmbeddings
from PIL import Image

from protect.unlearn.outside import Fall, fall, to_line
from protect.unlearn.pairs import Pairs
from protect.unlearn.similarity_picture import draw


class Given(GivenEmbeddings):
    """Two pictures and captions at given places."""

    class towers:
        device = torch.device("cpu")

    def __init__(self, images):
        super().__init__()
        self.points = torch.tensor(images)

    def images(self, x):
        return self.points

    def texts(self, captions):
        return torch.eye(2)[[int(caption) for caption in captions]]


def pairs(*captions):
    return Pairs(("a", "b"), np.zeros((2, 3, 2, 2), np.uint8), tuple((c,) for c in captions), captions)


def test_own_similarity_falls_and_that_to_others_rises():
    before, after = Given([[1.0, 0.0], [0.0, 1.0]]), Given([[0.6, 0.2], [0.1, 0.8]])
    found = fall(before, after, pairs("0", "1"))
    assert found.own == pytest.approx((0.4 + 0.2) / 2) and found.others == pytest.approx(-0.15)
    assert found.error == pytest.approx(0.1 / math.sqrt(2))
    assert fall(before, before, pairs("0", "1")) == Fall(0.0, 0.0, 0.0)
    assert fall(before, after, pairs("0", "0")).others is None


def test_the_line_names_the_retrained_model_where_there_is_one():
    after, retrained = Fall(0.3, 0.01, 0.1), Fall(0.2, 0.01, 0.05)
    assert "0.300 ± 0.010 (retrained: 0.200), to other captions by 0.100 (retrained: 0.050)" in to_line(
        {"after": after, "retrained": retrained}
    )
    assert to_line({"after": Fall(0.3, 0.01, None)}).endswith("falls by 0.300 ± 0.010")


def test_a_picture_of_changes_is_white_where_nothing_changed():
    change = np.asarray(draw([torch.tensor([[0.0, -0.2], [0.1, 0.0]])], around_zero=True))
    middle = [change[4, 4], change[12, 12]]
    assert all((pixel == 255).all() for pixel in middle)
    assert change[4, 12, 2] == 255 and change[4, 12, 0] == 0  # a fall is blue
    assert change[12, 4, 0] == 255 and change[12, 4, 2] < 255  # a rise is red
    assert isinstance(draw([torch.zeros(1, 1)], around_zero=True), Image.Image)
