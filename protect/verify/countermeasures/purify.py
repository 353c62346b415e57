"""Purification: every picture through a network that only knows natural ones, such as a VAE there and back."""

from dataclasses import replace
from functools import cache, partial

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from protect.verify.countermeasures.base import Countermeasure, Kind
from protect.verify.countermeasures.scraper import stored

MULTIPLE = 8  # sides are padded to one of this: a VAE halves them three times


def purify(file: str) -> Countermeasure:
    """The row for a TorchScript file (`torch.jit.save`), picture to picture: float 1 x 3 x H x W in [0, 1], any
    H and W that are multiples of 8, and the same shape back.

    A VAE is saved as one module that scales, encodes, decodes and scales back. Raises ValueError, at once, for a
    file that holds something else.
    """
    _through(_load(file), torch.zeros(1, 3, 2 * MULTIPLE, 3 * MULTIPLE), file)
    return replace(VAE, setting=None, picture=partial(_purified, file=file))


def _purified(picture: Image.Image, file: str) -> Image.Image:
    pixels = torch.from_numpy(np.asarray(stored(picture)).copy()).permute(2, 0, 1)[None].float().div_(255)
    height, width = pixels.shape[-2:]
    padded = F.pad(pixels, (0, -width % MULTIPLE, 0, -height % MULTIPLE), mode="replicate")
    clean = _through(_load(file), padded, file)[0, :, :height, :width]
    return Image.fromarray(clean.clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).contiguous().numpy())


@cache
def _load(file: str) -> torch.jit.ScriptModule:
    try:
        return torch.jit.load(file, map_location="cpu").eval()
    except (RuntimeError, ValueError, OSError) as error:
        found = " ".join(str(error).split())[:200]
        raise ValueError(
            f"vae {file}: expected a TorchScript file, got {found}; make it by torch.jit.save"
        ) from error


@torch.inference_mode()
def _through(network: torch.jit.ScriptModule, pixels: torch.Tensor, file: str) -> torch.Tensor:
    try:
        made = network(pixels)
    except RuntimeError as error:
        found = str(error).strip().splitlines()[-1]
        raise ValueError(f"vae {file}: expected it to take 1 x 3 x H x W pictures, got {found}") from error
    if not isinstance(made, torch.Tensor) or made.shape != pixels.shape:
        found = f"shape {tuple(made.shape)}" if isinstance(made, torch.Tensor) else type(made).__name__
        raise ValueError(f"vae {file}: expected a picture of shape {tuple(pixels.shape)} back, got {found}")
    return made


VAE = Countermeasure(
    "vae",
    Kind.ADAPTIVE,
    "every picture through a network that restores natural ones (a TorchScript file)",
    "restores the pictures with a generative network",
    setting="vae",
    from_setting=purify,
    strong=True,
)
ROWS = (VAE,)
