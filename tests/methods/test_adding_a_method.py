"""A new method is one file and one line: a toy one goes through every command without another word about it."""

import json
from dataclasses import dataclass

import pytest
import torch

from protect.data.shards import read_samples
from protect.methods import METHODS, Method
from protect.methods.fitted import Fitted
from protect.settings.base import knob
from protect.types import Protection


@dataclass(frozen=True)
class ToySettings:
    """A setting that no other method has."""

    brighter: int = knob(5, "255ths that each pixel becomes brighter")


def fit(window, recipe, device, report):
    report(f"toy saw {len(window)} pairs")
    return Fitted((("toys",),), {"step": torch.tensor(recipe.own.brighter)}, {"pairs": len(window)})


def protector(fitted, recipe, device):
    def protect(batch):
        noise = torch.full(batch.images.shape, float(fitted.tensors["step"]))
        noise = torch.minimum(noise, (255 - batch.images * 255).round()).to(torch.int8)
        return Protection(batch.keys, noise, (("toys",),) * len(batch))

    return protect


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    monkeypatch.setitem(METHODS, "toy", Method(fit, protector, ToySettings, trigger_words=1))


@pytest.fixture
def source(tmp_path, make_shard, photo_bytes):
    """Six pairs with lossless pictures."""
    (tmp_path / "in").mkdir()
    pairs = {f"{n:04}": {"png": photo_bytes("PNG", seed=n), "txt": f"picture {n} of a boat"} for n in range(6)}
    make_shard(tmp_path / "in" / "00000.tar", pairs)
    return tmp_path / "in"


def test_shards(command, source, tmp_path):
    dry = command("shards", source, tmp_path / "out", "--method", "toy", "--size", "32", "--dry-run")
    assert dry.code == 0 and "fit toy on 6 pairs" in dry.out and not (tmp_path / "out").exists()
    ran = command("shards", source, tmp_path / "out", "--method", "toy", "--size", "32", "--json", "-q")
    assert ran.code == 0
    total = json.loads(ran.out)
    assert total["protected"] == 6 and 1 <= total["linf"] <= 8
    samples = read_samples(tmp_path / "out" / "00000.tar")
    texts = [member.data for sample in samples for member in sample.members if member.name.endswith(".txt")]
    assert texts == [f"toys picture {n} of a boat".encode() for n in range(6)]
    checked = command("verify", source, tmp_path / "out", "--cheap")
    assert checked.code == 0, checked.err


def test_photos(command, tmp_path, photo_bytes):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.png").write_bytes(photo_bytes("PNG", seed=number))
        (folder / f"{number}.txt").write_text(f"picture {number} of a boat")
    fitted = command("fit", folder, "-o", tmp_path / "p", "--method", "toy", "--size", "32")
    assert fitted.code == 0 and "toy saw 3 pairs" in fitted.err
    ran = command("photos", folder, tmp_path / "out", "--protector", tmp_path / "p", "-q")
    assert ran.code == 0
    assert (tmp_path / "out" / "1.txt").read_text().strip() == "toys picture 1 of a boat"
