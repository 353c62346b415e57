"""Every countermeasure by name; each is a row of the report."""

from protect.verify.countermeasures import (
    adaptive,
    augmentation,
    content_means,
    denoiser,
    directions,
    evened,
    filters,
    planted,
    purify,
    scraper,
    squeeze,
    stripes,
    surprise,
    text,
    training,
)
from protect.verify.countermeasures.base import Captions as Captions
from protect.verify.countermeasures.base import Countermeasure as Countermeasure
from protect.verify.countermeasures.base import losses as losses

MODULES = (
    scraper,
    squeeze,
    augmentation,
    training,
    text,
    planted,
    surprise,
    filters,
    adaptive,
    content_means,
    stripes,
    directions,
    evened,
    denoiser,
    purify,
)
COUNTERMEASURES: dict[str, Countermeasure] = {row.name: row for module in MODULES for row in module.ROWS}
STANDARD = (
    "scraper-chain",
    "jpeg-75",
    "grayscale",
    "strong-augmentation",
    "ueraser-light",
    "half-words",
    "deduplicate-prefixes",
    "subtract-content-means",
    "remove-stripes",
    "level-directions",
    "even-looks",
    "level-and-strip",
)
