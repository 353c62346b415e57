"""Squeezes (ISS, Liu et al. 2023): small changes that people hardly see, at the size a scraper stores."""

from functools import partial

from PIL import Image, ImageFilter

from protect.verify.countermeasures.base import ChangePicture, Countermeasure, Kind
from protect.verify.countermeasures.scraper import recoded, stored

QUALITIES = (10, 30, 50, 75)
WEBP_QUALITY = 75
BITS = (2, 4)


def grayscale(picture: Image.Image) -> Image.Image:
    """Luma in all three channels."""
    return stored(picture).convert("L").convert("RGB")


def fewer_bits(picture: Image.Image, bits: int) -> Image.Image:
    """Each channel rounded to 2 ** bits equally spaced values, black and white among them."""
    steps = 2**bits - 1
    table = [round(round(value * steps / 255) * 255 / steps) for value in range(256)]
    return stored(picture).point(table * 3)


def blurred(picture: Image.Image) -> Image.Image:
    """A Gaussian blur with a sigma of one pixel."""
    return stored(picture).filter(ImageFilter.GaussianBlur(1))


def median(picture: Image.Image) -> Image.Image:
    """The median of every 3 x 3 pixels."""
    return stored(picture).filter(ImageFilter.MedianFilter(3))


def down_and_up(picture: Image.Image) -> Image.Image:
    """Half the size, and back (bicubic)."""
    whole = stored(picture)
    half = (max(1, whole.width // 2), max(1, whole.height // 2))
    return whole.resize(half, Image.Resampling.BICUBIC).resize(whole.size, Image.Resampling.BICUBIC)


COMPRESS, DECOLOUR = "compresses the pictures again", "takes colours out of the pictures"
SMOOTH = "smooths the pictures"


def _row(name: str, text: str, deed: str, picture: ChangePicture) -> Countermeasure:
    return Countermeasure(name, Kind.SQUEEZE, text, deed, picture=picture)


def _jpeg(quality: int) -> Countermeasure:
    text = f"JPEG of quality {quality} with 4:2:0 chroma"
    return _row(
        f"jpeg-{quality}", text, COMPRESS, partial(recoded, kind="JPEG", quality=quality, subsampling="4:2:0")
    )


def _bits(bits: int) -> Countermeasure:
    return _row(f"bit-depth-{bits}", f"{2**bits} values a channel", DECOLOUR, partial(fewer_bits, bits=bits))


ROWS = (
    _row("grayscale", "luma only", DECOLOUR, grayscale),
    *map(_jpeg, QUALITIES),
    _row(
        "webp", f"lossy WebP of quality {WEBP_QUALITY}", COMPRESS, partial(recoded, kind="WEBP", quality=WEBP_QUALITY)
    ),
    *map(_bits, BITS),
    _row("blur", "Gaussian blur, sigma 1", SMOOTH, blurred),
    _row("median", "median of 3 x 3 pixels", SMOOTH, median),
    _row("resize-down-up", "half the size and back", SMOOTH, down_and_up),
)
