"""What a change may be: how far a pixel may move, and which pixels exist."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from protect.types import Images

LEVELS = 255.0


@dataclass(frozen=True)
class Budget:
    """The ball of radius `epsilon` (in 255ths, L-infinity) around an image, inside the pixel range.

    Pixels move in whole 255ths, so of a fractional epsilon only the whole part can be used.
    """

    epsilon: float

    @property
    def reach(self) -> float:
        """Largest change that an 8-bit pixel can make within epsilon."""
        return float(math.floor(self.epsilon))

    def project(self, images: Images, noise: Float[Tensor, "batch 3 height width"]) -> Tensor:
        """The nearest noise (in 255ths) that keeps the budget and leaves every pixel in [0, 1]; idempotent.

        What is stored is what can exist as an image: the pixel range is applied to the noise itself.
        """
        noise = noise.clamp(-self.reach, self.reach)
        return noise.clamp(-LEVELS * images, LEVELS - LEVELS * images)  # in this order exact for 8-bit images

    def bounds(self, images: Images) -> tuple[Tensor, Tensor]:
        """Least and largest noise of each pixel; clamping to them is `project`."""
        low, high = -LEVELS * images, LEVELS - LEVELS * images
        return low.clamp_(min=-self.reach), high.clamp_(max=self.reach)

    def apply(self, images: Images, noise: Tensor) -> Images:
        """The picture as an 8-bit file holds it; the gradient passes rounding and both clips unchanged."""
        exact = images + noise / LEVELS
        stored = (images + self.project(images, noise.detach()).round() / LEVELS).mul(LEVELS).round().div(LEVELS)
        return exact + (stored - exact).detach()


def to_int8(noise: Tensor) -> Tensor:
    """Projected noise as it is stored, in whole 255ths."""
    return noise.round().to(torch.int8)
