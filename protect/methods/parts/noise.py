"""The noise of a window while it is optimised: one for each image (sample-wise), as in the paper."""

from torch import Tensor

from protect.data.window import Window
from protect.methods.mem_settings import ErrorMinSettings
from protect.methods.parts.budget import LEVELS, Budget, to_int8
from protect.methods.parts.pgd import Loss, descend
from protect.types import Images


class SampleWise:
    """Every image its own noise, as in the paper; kept as int8 on disk."""

    def __init__(self, window: Window, budget: Budget) -> None:
        self.window, self.budget = window, budget

    def of(self, rows: Tensor, images: Images) -> Tensor:
        return self.window.noise(rows).to(images.device)

    def improve(self, rows: Tensor, images: Images, loss: Loss, settings: ErrorMinSettings) -> None:
        start = self.of(rows, images)
        self.window.store_noise(rows, to_int8(improve_images(start, images, loss, self.budget, settings)))


def improve_images(noise: Tensor, images: Images, loss: Loss, budget: Budget, settings: ErrorMinSettings) -> Tensor:
    """PGD on the noise of each image of a batch; the loss sees pictures as 8-bit files hold them."""
    low, high = budget.bounds(images)
    levels = images * LEVELS
    return descend(
        loss,
        noise,
        lambda n: n.clamp(low, high),
        settings,
        lambda n: n.clamp(low, high).round_().add_(levels).round_().div_(LEVELS),
    )
