"""Refreshing trains the image tower on moved pictures, and nothing else."""

import pytest
import torch
from given_embeddings import GivenEmbeddings, unit

from protect.settings.unlearn import ForgetSettings
from protect.unlearn.checkpoint import load_model
from protect.unlearn.methods.refresh import freeze, loss
from protect.unlearn.shifts import at_random, most, shifted
from protect.unlearn.step import Part, Step


def test_pictures_move_by_their_own_pixels_and_back():
    images = torch.rand((3, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    far = most(images)
    assert far == 2
    moved = shifted(images, torch.tensor([[0, 0], [2, -1], [-2, 1]]))
    assert torch.equal(moved[0], images[0])
    assert torch.equal(moved[1][:, 2:, :-1], images[1][:, :-2, 1:])
    assert torch.equal(moved[2][:, :-2, 1:], images[2][:, 2:, :-1])
    assert torch.equal(moved[1][:, 0], moved[1][:, 4])  # mirrored at the edge
    draws = [at_random(images, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])


@pytest.mark.parametrize("name", ["tiny-resnet", "tiny-vit"])
def test_only_the_image_tower_is_trained(name):
    model = load_model(name, "", torch.device("cpu"), size=32)
    first = next(model.towers.model.visual.parameters()).requires_grad_(False)  # whatever is frozen already stays so
    freeze(model)
    trained = {name for name, tensor in model.towers.model.named_parameters() if tensor.requires_grad}
    tower = {f"visual.{name}" for name, _ in model.towers.model.visual.named_parameters()}
    assert trained < tower and len(trained) == len(tower) - 1 and not first.requires_grad
    assert not any(tensor.requires_grad for name, tensor in model.named_parameters() if "visual" not in name)


class Watched(GivenEmbeddings):
    """Keeps the pictures that it is asked for."""

    def images(self, x):
        self.seen = x
        return unit(1).requires_grad_()


def test_retain_pictures_are_moved_and_meet_the_captions_as_they_were():
    model = Watched()
    pixels = torch.rand((6, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    retain = Part(model, model, pixels, [str(i) for i in range(6)])
    retain.texts_before = unit(1)
    right = loss(Step(retain, retain), ForgetSettings())
    retain.texts_before = unit(1).roll(1, 0)
    wrong = loss(Step(retain, retain), ForgetSettings())
    assert right < wrong and model.seen.shape == pixels.shape and not torch.equal(model.seen, pixels)
