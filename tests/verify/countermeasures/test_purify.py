import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from protect.verify.countermeasures.purify import purify

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")


class Darker(nn.Module):
    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        if pixels.shape[2] % 8 or pixels.shape[3] % 8:
            raise ValueError("sides")
        return pixels / 2 - 0.05


class Halved(nn.Module):
    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels[:, :, ::2]


class Grey(nn.Module):
    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.view(1, 1, -1, 7)


def saved(path, module):
    torch.jit.save(torch.jit.script(module), path)
    return str(path)


def test_pictures_go_through_the_network(tmp_path):
    row = purify(saved(tmp_path / "dark.pt", Darker()))
    pixels = np.random.default_rng(0).integers(0, 256, (33, 50, 3), dtype=np.uint8)
    found = np.asarray(row.picture(Image.fromarray(pixels)))
    assert row.setting is None and found.shape == pixels.shape
    assert np.abs(found - (pixels / 2 - 0.05 * 255).clip(0)).max() <= 0.51


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Halved(), r"shape \(1, 3, 16, 24\) back, got shape \(1, 3, 8, 24\)"),
        (Grey(), "expected it to take 1 x 3 x H x W"),
    ],
)
def test_other_networks_are_refused_at_once(tmp_path, module, message):
    with pytest.raises(ValueError, match=message):
        purify(saved(tmp_path / "other.pt", module))


def test_other_files_are_refused(tmp_path):
    (tmp_path / "no.pt").write_bytes(b"weights")
    for name in ("no.pt", "missing.pt"):
        with pytest.raises(ValueError, match="expected a TorchScript file"):
            purify(str(tmp_path / name))
