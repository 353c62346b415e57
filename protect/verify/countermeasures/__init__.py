"""Every countermeasure by name; each is a row of the report."""

from protect.verify.countermeasures import (
    augmentation,
    caption_regression,
    colour_normalisation,
    denoiser,
    filters,
    orthogonal_projection,
    perplexity,
    prefix_dedup,
    purify,
    recaptioned,
    regimes,
    scraper,
    spectral_peaks,
    spectral_whitening,
    squeeze,
    text,
    training,
    word_means,
)
from protect.verify.countermeasures.base import Captions as Captions
from protect.verify.countermeasures.base import Countermeasure as Countermeasure
from protect.verify.countermeasures.base import losses as losses

MODULES = (
    scraper,
    squeeze,
    augmentation,
    training,
    regimes,
    text,
    prefix_dedup,
    perplexity,
    recaptioned,
    filters,
    word_means,
    caption_regression,
    orthogonal_projection,
    spectral_peaks,
    spectral_whitening,
    colour_normalisation,
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
    "caption-regression",
    "notch-filter",
    "spectral-whitening",
    "colour-normalisation",
    "whiten-and-deduplicate",
)
