"""Views: what the attacker's loader makes of a picture each time it is drawn.

Random draws come from torch's global generator, which the training loop seeds.
"""

from collections.abc import Callable
from functools import partial

from PIL import Image

from protect.clip.open_clip_import import open_clip
from protect.verify.countermeasures.base import ChangePicture, Countermeasure, Kind, Regime
from protect.verify.reading.pairs import centre

STRONG_SCALE, STRONG_RATIO = (0.08, 1.0), (3 / 4, 4 / 3)  # of the area, and the aspect: torchvision's defaults
JITTER = (0.4, 0.4, 0.4, 0.1)  # brightness, contrast, saturation, hue: SimCLR's at half strength


def openclip_view(size: int) -> ChangePicture:
    """The crop of open_clip's own training transform (torchvision's): 0.9 to 1 of the area, bicubic."""
    return open_clip().image_transform(size, is_train=True).transforms[0]


def plain_view(size: int) -> ChangePicture:
    """CLIP's centre crop, nothing random."""
    return partial(_centre, size=size)


def strong_view(size: int) -> ChangePicture:
    """A crop of 0.08 to 1 of the area, mirrored half of the time, colours jittered."""
    transforms = _transforms()
    steps = [_crop(size), transforms.RandomHorizontalFlip(), transforms.ColorJitter(*JITTER)]
    return transforms.Compose(steps)


def randaugment_view(size: int) -> ChangePicture:
    """A crop of 0.08 to 1 of the area, then RandAugment (Cubuk et al. 2020) as torchvision has it."""
    transforms = _transforms()
    kind = transforms.InterpolationMode.BILINEAR
    steps = [_crop(size), transforms.RandomHorizontalFlip(), transforms.RandAugment(interpolation=kind)]
    return transforms.Compose(steps)


def _centre(picture: Image.Image, size: int) -> Image.Image:
    return centre(picture, size)


def _crop(size: int) -> ChangePicture:
    transforms = _transforms()
    kind = transforms.InterpolationMode.BICUBIC
    return transforms.RandomResizedCrop(size, STRONG_SCALE, STRONG_RATIO, interpolation=kind)


def _transforms():  # type: ignore[no-untyped-def]
    open_clip()  # torchvision may need help to be imported
    from torchvision import transforms

    return transforms


VIEWS: dict[str, Callable[[int], ChangePicture]] = {
    "openclip": openclip_view,
    "none": plain_view,
    "strong": strong_view,
    "randaugment": randaugment_view,
}

DEED = "crops and recolours the pictures"
ROWS = (
    Countermeasure(
        "no-augmentation",
        Kind.AUGMENTATION,
        "the same centre crop every time",
        "always takes the same crop",
        regime=Regime(view="none"),
    ),
    Countermeasure(
        "strong-augmentation",
        Kind.AUGMENTATION,
        "crops of 0.08 to 1 of the area, mirrored, colours jittered",
        DEED,
        regime=Regime(view="strong"),
        strong=True,
        slow=True,
    ),
    Countermeasure(
        "randaugment",
        Kind.AUGMENTATION,
        "crops of 0.08 to 1 of the area, mirrored, RandAugment",
        DEED,
        regime=Regime(view="randaugment"),
        slow=True,
    ),
)
