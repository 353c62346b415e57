"""A model is known by its file alone where that can be told."""

import pytest
import torch

from protect.unlearn.checkpoint import load_model, save_model
from protect.unlearn.model_file import named, recognised

CPU = torch.device("cpu")


@pytest.mark.parametrize(("name", "size"), [("tiny-resnet", 32), ("tiny-resnet", 96), ("tiny-vit", 48)])
def test_tiny_models_are_told_by_their_weights(name, size, tmp_path):
    file = save_model(load_model(name, None, CPU, size=size), tmp_path)
    assert recognised(file) == (name, size) and named(str(file), None, None) == (name, str(file), size)
    torch.save(load_model(name, None, CPU, size=size).towers.model.state_dict(), tmp_path / "model.pt")
    assert recognised(tmp_path / "model.pt") == (name, size)


def test_names_and_named_weights_pass_through(tmp_path):
    assert named("ViT-B-32", "x.pt", None) == ("ViT-B-32", "x.pt", None)
    assert named("tiny-vit", None, 64) == ("tiny-vit", None, 64)


def test_an_out_of_this_command_is_a_model(tmp_path):
    save_model(load_model("tiny-resnet", None, CPU, size=32), tmp_path)
    (tmp_path / "unlearn.json").write_text('{"model": "tiny-resnet", "settings": {"size": 32}}')
    assert named(str(tmp_path), None, None) == ("tiny-resnet", str(tmp_path), 32)


def test_other_files_are_refused_with_a_cure(tmp_path):
    (tmp_path / "text.pt").write_text("no weights")
    with pytest.raises(ValueError, match=r"text.pt: expected a file of weights"):
        recognised(tmp_path / "text.pt")
    with pytest.raises(ValueError, match=r"missing.pt: expected a file of weights, found none"):
        named(str(tmp_path / "missing.pt"), None, None)
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match=r"expected the weights of tiny-resnet or tiny-vit, .*--weights"):
        recognised(tmp_path / "other.pt")
