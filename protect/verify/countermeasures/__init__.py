"""Every countermeasure by name; each is a row of the report."""

from protect.verify.countermeasures import (
    adaptive_denoiser,
    augmentation,
    caption_regression,
    colour_normalisation,
    denoiser,
    filters,
    machine_captions,
    orthogonal_projection,
    perplexity,
    prefix_dedup,
    purify,
    recaptioned,
    regimes,
    scraper,
    some_captions,
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
    some_captions,
    machine_captions,
    filters,
    word_means,
    caption_regression,
    orthogonal_projection,
    spectral_peaks,
    spectral_whitening,
    colour_normalisation,
    denoiser,
    adaptive_denoiser,
    purify,
)
COUNTERMEASURES: dict[str, Countermeasure] = {row.name: row for module in MODULES for row in module.ROWS}
STANDARD = (  # the strongest first: a small budget leaves out the last ones
    "whiten-and-deduplicate",
    "normalise-and-deduplicate",
    "strong-augmentation",
    "half-words",
    "spectral-whitening",
    "colour-normalisation",
    "deduplicate-prefixes",
    "caption-regression",
    "scraper-chain",
    "jpeg-75",
    "grayscale",
    "ueraser-light",
    "notch-filter",
)
