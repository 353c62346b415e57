"""What scrapers do to a picture before a network sees it, differentiable, so that noise can be made to survive it."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from protect.data.images import LUMA
from protect.data.optional import missing
from protect.types import Images

Transformation = Callable[[Images, torch.Generator], Images]
CROP_SCALE = (0.9, 1.0)  # share of the area, open_clip's training default
ZOOM_SCALE = (0.08, 1.0)  # torchvision's default
JITTER = (0.6, 1.4)  # brightness, contrast and saturation
JPEG_QUALITY = (50.0, 95.0)


def through(names: Sequence[str]) -> Transformation:
    """The named transformations one after the other, each drawn anew at every call (EOT).

    Raises ValueError for a name that is not among TRANSFORMATIONS.
    """
    unknown = sorted(set(names) - set(TRANSFORMATIONS))
    if unknown:
        raise ValueError(f"through: expected some of {', '.join(TRANSFORMATIONS)}, got {', '.join(unknown)}")

    def transform(images: Images, random: torch.Generator) -> Images:
        for name in names:
            images = TRANSFORMATIONS[name](images, random)
        return images

    return transform


def random_crop(images: Images, random: torch.Generator) -> Images:
    """RandomResizedCrop: a box of its own for each image, side ratio 3:4 to 4:3, resized back (bicubic)."""
    return _resized_boxes(images, CROP_SCALE, torch.ones(len(images)), random)


def zoom(images: Images, random: torch.Generator) -> Images:
    """RandomResizedCrop down to a twelfth of the picture, and half of them mirrored."""
    return _resized_boxes(images, ZOOM_SCALE, (torch.rand(len(images), generator=random) < 0.5) * 2.0 - 1, random)


def _resized_boxes(images: Images, scale: tuple[float, float], facing: Tensor, random: torch.Generator) -> Images:
    count = len(images)
    area = _uniform(count, scale, random)
    ratio = torch.exp(_uniform(count, (-0.2877, 0.2877), random))
    width, height = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
    left, top = (_uniform(count, (-1.0, 1.0), random) * (1 - side) for side in (width, height))
    zero = torch.zeros(count)
    boxes = torch.stack([torch.stack([width * facing, zero, left], 1), torch.stack([zero, height, top], 1)], 1)
    grid = F.affine_grid(boxes.to(images.device), list(images.shape), align_corners=False)
    cropped = F.grid_sample(images, grid, mode="bicubic", padding_mode="reflection", align_corners=False)
    return cropped.clamp(0, 1)


def jitter(images: Images, random: torch.Generator) -> Images:
    """Brightness, contrast and saturation, each image by factors of its own."""
    light, contrast, colour = (
        _uniform(len(images), JITTER, random).view(-1, 1, 1, 1).to(images.device) for _ in range(3)
    )
    images = images * light
    images = torch.lerp(images.mean((1, 2, 3), keepdim=True), images, contrast)
    return torch.lerp(_luma(images), images, colour).clamp(0, 1)


def gray(images: Images, random: torch.Generator) -> Images:
    """Brightness only, in three equal channels."""
    return _luma(images).expand_as(images)


def _luma(images: Images) -> Tensor:
    return (images * images.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)


def jpeg(images: Images, random: torch.Generator) -> Images:
    """JPEG with 4:2:0 chroma, each image with a quality of its own, rounding made differentiable (Shin 2017)."""
    try:
        from kornia.enhance import jpeg_codec_differentiable
    except ImportError as error:
        raise missing("--eot jpeg", "jpeg") from error
    quality = _uniform(len(images), JPEG_QUALITY, random).round().to(images.device)
    height, width = images.shape[-2:]
    padded = F.pad(images, (0, -width % 16, 0, -height % 16), mode="replicate")
    return jpeg_codec_differentiable(padded, quality)[..., :height, :width]


def _uniform(count: int, bounds: tuple[float, float], random: torch.Generator) -> Tensor:
    low, high = bounds
    return low + (high - low) * torch.rand(count, generator=random)


TRANSFORMATIONS: dict[str, Transformation] = {
    "crop": random_crop,
    "zoom": zoom,
    "jitter": jitter,
    "jpeg": jpeg,
    "gray": gray,
}
