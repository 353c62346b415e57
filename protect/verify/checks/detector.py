"""A small CNN that tells protected pictures from clean ones."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn

from protect.seeds import derive, generator
from protect.verify.reading.high_pass import high_pass
from protect.verify.reading.pairs import centre

SIDE = 64  # of the middle that is looked at; picture pixels, as noise does not survive a resize
STEPS, BATCH, LEARNING_RATE = 250, 64, 3e-3
LOUDER, CONTRAST = 8, 4  # times: noise is small, and pixels vary by a quarter of their range
SEED = 0

Crops = Float[Tensor, "pictures 3 height width"]


class Detector(nn.Sequential):
    """One score a picture, higher is protected; it sees what a small blur takes away, and the colours themselves."""

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        for inner, outer in ((6, 16), (16, 32), (32, 48)):
            layers += [nn.Conv2d(inner, outer, 3, stride=2, padding=1), nn.BatchNorm2d(outer), nn.ReLU()]
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(48, 1))

    def forward(self, input: Tensor) -> Tensor:
        return self.scores(seen(input))

    def scores(self, features: Tensor) -> Tensor:
        """Of pictures as `seen`."""
        return super().forward(features).squeeze(1)


def seen(images: Crops) -> Float[Tensor, "pictures 6 height width"]:
    """What the detector sees: fine detail, made louder, and the colours themselves."""
    parts = [
        torch.cat([high_pass(part) * LOUDER, (part - 0.5) * CONTRAST], dim=1) for part in images.split(4 * BATCH)
    ]
    return torch.cat(parts)


def crops(pictures: Sequence[np.ndarray]) -> Crops:
    """The middle of each picture, floats in [0, 1]."""
    squares = [middle(picture) for picture in pictures]
    return torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2).float().div_(255)


def middle(picture: np.ndarray) -> np.ndarray:
    """The middle 64 pixels square of a picture, or a smaller one enlarged to that."""
    height, width = picture.shape[:2]
    if min(height, width) < SIDE:
        return np.asarray(centre(Image.fromarray(picture), SIDE))
    top, left = (height - SIDE) // 2, (width - SIDE) // 2
    return picture[top : top + SIDE, left : left + SIDE]


def trained_detector(clean: Crops, protected: Crops, steps: int | None = None) -> Detector:
    """Trained for so many steps (None: STEPS), which take seconds; in eval mode."""
    images = torch.cat([seen(clean), seen(protected)])  # once, as every picture is looked at many times
    labels = torch.cat([torch.zeros(len(clean)), torch.ones(len(protected))])
    random = generator(SEED, "detector")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(SEED, "detector weights"))
        network = Detector()
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE)
    steps = steps or STEPS
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    for _ in range(steps):
        chosen = torch.randint(len(images), (BATCH,), generator=random)
        loss = F.binary_cross_entropy_with_logits(network.scores(images[chosen]), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval()
