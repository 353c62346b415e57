"""How sure a model is, beside how often it is right."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from given_embeddings import GivenEmbeddings

from protect.unlearn.calibration import calibration, curve
from protect.unlearn.pairs import Classes, Pairs


def test_the_curve_has_a_point_for_each_bin_that_holds_answers():
    found = curve(torch.tensor([0.55, 0.57, 0.95, 1.0]), torch.tensor([True, False, True, True]))
    assert [(round(sure, 3), right, count) for sure, right, count in found.points] == [
        (0.56, 0.5, 2),
        (0.975, 1.0, 2),
    ]
    assert found.error == pytest.approx(0.5 * 0.06 + 0.5 * 0.025)


class Seer(GivenEmbeddings):
    """Embeds a picture by its first pixels and a caption by its number."""

    class towers:
        device = torch.device("cpu")

    def images(self, x):
        return F.normalize(x[:, :, 0, 0], dim=-1)

    def texts(self, captions):
        return torch.eye(3)[[int(caption) for caption in captions]]


def pairs(values):
    pixels = np.zeros((len(values), 3, 2, 2), np.uint8)
    pixels[range(len(values)), list(values), 0, 0] = 255
    keys, captions = tuple(map(str, range(len(values)))), tuple((str(i),) for i in range(len(values)))
    return Pairs(keys, pixels, captions, tuple(str(i) for i in range(len(values))))


@pytest.mark.parametrize("classes", [None, Classes(("0", "1", "2"), (("0",), ("1",), ("2",)))])
def test_a_model_that_is_sure_and_wrong_is_badly_calibrated(classes):
    right, wrong = (calibration(Seer(), pairs(values), classes) for values in ((0, 1, 2), (1, 2, 0)))
    assert right.error < 0.01 and wrong.error > 0.99
    assert [share for _, share, _ in right.points + wrong.points] == [1.0, 0.0]
