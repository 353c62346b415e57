"""Whether unsafe queries are counted as redirected when, and only when, they reach the safe twin."""

import numpy as np
import pytest
import torch

from protect.unlearn import lorentz
from protect.unlearn import redirection as redirect
from protect.unlearn.head import Clip
from protect.unlearn.hyperbolic_heads import Meru
from protect.unlearn.judge import Embedded
from protect.unlearn.pairs import Pairs

AXES = torch.eye(4)
BOAT, CAR, CAT, FROG = AXES
OWN = torch.tensor([[True, False], [False, True], [False, True]])  # three pairs, two captions a side
TWINS = torch.tensor([0, 1, 2])


class Sphere(Clip):
    """A CLIP without towers."""

    def __init__(self):
        torch.nn.Module.__init__(self)


class Hyperboloid(Meru):
    """A MERU without towers."""

    def __init__(self):
        torch.nn.Module.__init__(self)
        self.log_curvature = torch.nn.Parameter(torch.tensor(0.0))


def side(images, texts):
    texts = torch.stack(texts)
    return Embedded(torch.stack(images), texts, OWN, torch.tensor([0, 1, 1]))


def named(name):
    """Pairs that only have a name: their embeddings are given."""
    return Pairs((name,), np.zeros((1, 3, 1, 1), np.uint8), (("",),), ("",))


SAFE = side([BOAT, CAR, CAR], [BOAT, CAR])


def found(monkeypatch, unsafe, model=None, safe=SAFE):
    sides = {"unsafe": unsafe, "safe": safe}
    monkeypatch.setattr(redirect, "embed", lambda _, pairs: sides[pairs.keys[0]])
    return redirect.redirection(model or Sphere(), *(named(name) for name in sides), TWINS)


def test_an_untouched_model_answers_unsafe_with_unsafe(monkeypatch):
    result = found(monkeypatch, side([CAT, FROG, FROG], [CAT, FROG]))
    untouched = {"safe_image_recall@1": 1, "safe_text_recall@1": 1}
    assert result == {"image_recall@1": 0, "image_safe": 0, "text_recall@1": 0, "text_safe": 0} | untouched


def test_a_redirected_model_answers_with_the_twin(monkeypatch):
    boat, car = (0.9 * safe + 0.1 * unsafe for safe, unsafe in ((BOAT, CAT), (CAR, FROG)))
    result = found(monkeypatch, side([boat, car, car], [boat, car]))
    assert set(result.values()) == {1}


def test_a_safe_answer_that_is_not_the_twin_counts_as_safe_only(monkeypatch):
    result = found(monkeypatch, side([CAR, BOAT, BOAT], [0.5 * CAR, 0.5 * BOAT]))
    assert result["image_recall@1"] == 0 and result["image_safe"] == 1


def test_hyperbolic_queries_are_also_tried_after_the_traversal(monkeypatch):
    """Unsafe points on the ray of their twin, further out: moved back they meet it."""
    model = Hyperboloid()
    safe = side([0.5 * BOAT, 0.5 * CAR, 0.5 * CAR], [0.5 * BOAT, 0.5 * CAR])
    unsafe = side([4 * BOAT, 4 * CAR, 4 * CAR], [4 * BOAT, 4 * CAR])
    result = found(monkeypatch, unsafe, model, safe)
    assert result["image_safe"] == 0 and result["image_traversed_recall@1"] == 1
    assert result["text_safe"] == 0 and result["text_traversed_recall@1"] == 1
    assert result["safe_image_traversed_recall@1"] == result["safe_text_traversed_recall@1"] == 1


def test_the_traversal_goes_to_where_safe_texts_lie(monkeypatch):
    """Unsafe images no further out than safe ones: only the level of the safe texts, nearer in, tells them apart."""
    model = Hyperboloid()
    safe = side([2 * BOAT, 2 * CAR, 2 * CAR], [0.3 * BOAT, 0.3 * CAR])
    moved = []
    monkeypatch.setattr(redirect, "safe_traversal", lambda points, limit, _: moved.append(limit) or points)
    found(monkeypatch, side([2 * BOAT, 2 * CAR, 2 * CAR], [BOAT, CAR]), model, safe)
    expected = lorentz.radius(safe.texts, model.curvature).mean().item()
    assert moved == [pytest.approx(expected)] * 4


@pytest.mark.parametrize("scale", [1.0, 5.0])
def test_the_scale_of_embeddings_does_not_matter_on_the_sphere(monkeypatch, scale):
    result = found(monkeypatch, side([scale * CAR, BOAT, BOAT], [CAR, BOAT]))
    assert result["image_safe"] == 1
