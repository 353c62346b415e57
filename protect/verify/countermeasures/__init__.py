"""Every countermeasure by name; each is a row of the report."""

from protect.verify.countermeasures import augmentation, denoiser, filters, purify, scraper, squeeze, text, training
from protect.verify.countermeasures import caption_regression as content_means
from protect.verify.countermeasures import colour_normalisation as evened
from protect.verify.countermeasures import perplexity as surprise
from protect.verify.countermeasures import prefix_dedup as planted
from protect.verify.countermeasures import spectral_peaks as stripes
from protect.verify.countermeasures import spectral_whitening as directions
from protect.verify.countermeasures import word_means as adaptive
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
