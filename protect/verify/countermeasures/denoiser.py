"""A denoiser, for attackers with clean originals of some protected files: a network learns to undo the noise."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from math import ceil

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from protect.seeds import derive, generator
from protect.verify.countermeasures.base import Changed, Countermeasure, Kind
from protect.verify.reading.high_pass import high_pass
from protect.verify.reading.pairs import Pairs

OWN = 0.2  # share of the pairs whose originals the attacker has
FEWEST, MOST = 16, 1000  # of them
WIDTH, STEPS, BATCH, CROP = 24, 150, 32, 32
COARSE = 4  # times smaller: noise in coarse colours needs a wider look
LEARNING_RATE = 2e-3
LOUDNESS = 8 / 255  # about what noise has: in and out of the network it is near one
SEED = 0


class Denoiser(nn.Module):
    """Predicts the noise in pictures (floats in [0, 1]) at their own size and at a quarter; untrained, none."""

    def __init__(self) -> None:
        super().__init__()
        self.fine, self.coarse = _convolutions(6), _convolutions(3)

    def forward(self, pictures: Tensor) -> Tensor:
        seen = torch.cat([pictures - 0.5, high_pass(pictures) / LOUDNESS], dim=1)
        small = self.coarse(F.avg_pool2d(pictures, COARSE, ceil_mode=True) * COARSE - COARSE / 2)
        return (self.fine(seen) + F.interpolate(small, pictures.shape[-2:], mode="bilinear")) * LOUDNESS


def _convolutions(channels: int) -> nn.Sequential:
    """Four of them; the last begins with zeros."""
    inner = [layer for _ in range(2) for layer in (nn.Conv2d(WIDTH, WIDTH, 3, padding=1), nn.ReLU())]
    last = nn.Conv2d(WIDTH, 3, 3, padding=1)
    nn.init.zeros_(last.weight)
    return nn.Sequential(nn.Conv2d(channels, WIDTH, 3, padding=1), nn.ReLU(), *inner, last)


def denoise(clean: Pairs) -> Countermeasure:
    """The row for an attacker with a part of these clean pairs."""
    return replace(DENOISER, from_clean=None, pairs=partial(denoised, clean=clean))


def denoised(pairs: Pairs, clean: Pairs) -> Pairs:
    """All pictures through a denoiser that was trained on a fifth of them beside their originals.

    Raises ValueError when too few keys have both, in one size.
    """
    network = train_denoiser(list(known_pairs(pairs, clean)))
    return replace(pairs, pictures=Changed(len(pairs), lambda i: restored(network, pairs.pictures[i])))


def known_pairs(pairs: Pairs, clean: Pairs) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Published pictures and their originals, chosen by key: a fifth, at least 16 and at most 1,000."""
    places = {key: row for row, key in enumerate(clean.keys)}
    both = [row for row, key in enumerate(pairs.keys) if key in places]
    both = [r for r in both if pairs.pictures[r].shape == clean.pictures[places[pairs.keys[r]]].shape]
    if len(both) < FEWEST:
        raise ValueError(
            f"denoiser: expected at least {FEWEST} pictures with a clean original of their size, got {len(both)}; "
            "name the clean data that was protected"
        )
    both.sort(key=lambda row: derive(SEED, "denoiser", pairs.keys[row]))
    for row in both[: min(MOST, max(FEWEST, ceil(OWN * len(both))))]:
        yield pairs.pictures[row], clean.pictures[places[pairs.keys[row]]]


def train_denoiser(known: Sequence[tuple[np.ndarray, np.ndarray]], steps: int = STEPS) -> Denoiser:
    """Trained on crops of (published, clean) pictures; takes seconds."""
    random = generator(SEED, "denoiser")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(SEED, "denoiser weights"))
        network = Denoiser()
    optimizer = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    for _ in range(steps):
        chosen = torch.randint(len(known), (BATCH,), generator=random).tolist()
        crops = torch.stack([_crop(known[row], random) for row in chosen])
        published, clean = crops.unbind(1)
        loss = F.mse_loss(published - network(published), clean) / LOUDNESS**2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval()


def _crop(pair: tuple[np.ndarray, np.ndarray], random: torch.Generator) -> Tensor:
    """The same square of both, mirrored at the border where a side is short: 2 x 3 x CROP x CROP."""
    both = np.stack(pair)
    short = [(0, max(0, CROP - side)) for side in both.shape[1:3]]
    both = np.pad(both, ((0, 0), *short, (0, 0)), mode="symmetric")
    top, left = (int(torch.randint(side - CROP + 1, (), generator=random)) for side in both.shape[1:3])
    return _floats(both[:, top : top + CROP, left : left + CROP])


@torch.inference_mode()
def restored(network: Denoiser, picture: np.ndarray) -> np.ndarray:
    """The picture without the noise that the network sees in it."""
    pixels = _floats(picture[None])
    clean = (pixels - network(pixels))[0].clamp(0, 1)
    return clean.mul(255).round().byte().permute(1, 2, 0).contiguous().numpy()


def _floats(pictures: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))).float().div_(255)


DENOISER = Countermeasure(
    "denoiser",
    Kind.ADAPTIVE,
    "pictures through a small network, trained on a fifth of them beside their clean originals (upper bound)",
    "removes the noise with a network trained on some clean originals",
    from_clean=denoise,
    strong=True,
)
ROWS = (DENOISER,)
