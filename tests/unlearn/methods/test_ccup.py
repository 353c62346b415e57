"""CCUP: what the forgotten classes' texts span is gone from the images, what the others' texts span is as it was."""

import pytest
import torch
import torch.nn.functional as F

from protect.settings.unlearn import ForgetSettings
from protect.unlearn.checkpoint import load_model
from protect.unlearn.methods.ccup import directions, edit, last_map

CPU = torch.device("cpu")


def unit(seed, count, dim=128):
    return F.normalize(torch.randn(count, dim, generator=torch.Generator().manual_seed(seed)), dim=-1)


def test_directions_are_orthonormal_and_free_of_the_retained():
    forget, retain = unit(1, 3), unit(2, 5)
    found = directions(forget, retain)
    assert torch.allclose(found @ found.T, torch.eye(3), atol=1e-5)
    assert (found @ retain.T).abs().max() < 1e-5


def test_a_class_that_the_others_span_has_no_direction_of_its_own():
    retain = unit(2, 5)
    assert len(directions(retain[:2] + retain[1:3], retain)) == 0


@pytest.mark.parametrize("name", ["tiny-resnet", "tiny-vit"])
@pytest.mark.parametrize("share", [1.0, 0.5])
def test_images_lose_the_forgotten_direction_and_nothing_else(name, share):
    student, reference = (load_model(name, None, CPU, "sphere", 32) for _ in range(2))
    forget, retain = unit(1, 1), unit(2, 4)
    edit(student, forget, retain, ForgetSettings(project=share))
    pixels = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        raw = [side.eval().towers.model.encode_image(pixels).float() for side in (reference, student)]
    gone = directions(forget, retain)
    assert torch.allclose(raw[1] @ gone.T, (1 - share) * raw[0] @ gone.T, atol=1e-4)
    assert torch.allclose(raw[1] @ retain.T, raw[0] @ retain.T, atol=1e-4)


def test_a_model_without_a_last_linear_map_is_refused():
    with pytest.raises(ValueError, match="ccup: expected an image tower that ends in a linear map, found none; use"):
        last_map(torch.nn.Sequential())
