"""How far published pictures are from the clean ones, beside clean ones that were merely written again."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import mean
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, JpegImagePlugin

from protect.data.views import DISPLAY
from protect.publish.quality import Distortion, can_rate, measure, ssimulacra2
from protect.verify.reading.matched_sample import Sampled
from protect.verify.reading.pairs import decoded
from protect.verify.reading.scrape import Find

PICTURES = 256  # that are measured, at most
PIXELS = 4e7  # of them together
RATED = 4e6  # pixels that SSIMULACRA2, which is slow, is asked about
BEST_PSNR = 100.0  # dB, what equal pictures count as in a mean


class Distances(NamedTuple):
    """Means over the measured pictures, linf their largest; reencoded: for those that are published as JPEG.

    rating, rating_reencoded: SSIMULACRA2, None without its package (`unrated` says so) or where all pictures are
    too small for it.
    """

    linf: float
    psnr: float
    ssim: float
    reencoded: tuple[float, float] | None
    measured: int
    equal: int
    sizes: int  # pairs of two sizes, which cannot be measured
    rating: float | None = None
    rating_reencoded: float | None = None
    unrated: str = ""


@dataclass
class _Rater:
    """SSIMULACRA2 of the first pictures that are large enough for it, and of clean ones written again."""

    found: list[float] = field(default_factory=list)
    again: list[float] = field(default_factory=list)
    pixels: int = 0
    unrated: str = ""

    def rate(self, before: np.ndarray, after: np.ndarray, copy: np.ndarray | None) -> None:
        if self.pixels >= RATED or not can_rate(before):
            return
        self.pixels += min(before.shape[0] * before.shape[1], DISPLAY**2)
        try:
            self.found.append(ssimulacra2(before, after))
            self.again += [] if copy is None else [ssimulacra2(before, copy)]
        except ImportError as error:
            self.pixels, self.unrated = int(RATED), f"{error}."

    @property
    def means(self) -> tuple[float | None, float | None]:
        return mean(self.found) if self.found else None, mean(self.again) if self.again else None


def distances(sampled: Sampled) -> Distances:
    """On the decoded files at their own size, upright. Raises ValueError when no two pictures have one size."""
    measured: list[Distortion] = []
    again: list[Distortion] = []
    sizes, pixels, rater = 0, 0, _Rater()
    for clean, published in zip(sampled.clean, sampled.published, strict=True):
        if len(measured) == PICTURES or pixels > PIXELS:
            break
        before, after = upright(clean), upright(published)
        if before is None or after is None:
            continue
        if before.shape != after.shape:
            sizes += 1
            continue
        measured.append(measure(before, after))
        pixels += before.shape[0] * before.shape[1]
        copy = reencoded(before, published.picture)
        if copy is not None:
            again.append(measure(before, copy))
        rater.rate(before, after, copy)
    if not measured:
        raise ValueError(
            f"distortion: expected a clean picture of the published one's size, found none ({sizes} of another); "
            "name the clean data that was protected"
        )
    return Distances(
        float(max(one.linf for one in measured)),
        *_means(measured),
        _means(again) if again else None,
        len(measured),
        sum(one.linf == 0 for one in measured),
        sizes,
        *rater.means,
        unrated=rater.unrated,
    )


def _means(measured: Sequence[Distortion]) -> tuple[float, float]:
    return mean(min(one.psnr, BEST_PSNR) for one in measured), mean(one.ssim for one in measured)


def upright(find: Find) -> np.ndarray | None:
    """The picture as it is shown: EXIF orientation applied, as protection may have done."""
    image = decoded(find)
    return None if image is None else np.asarray(ImageOps.exif_transpose(image))


def reencoded(clean: np.ndarray, published: bytes) -> np.ndarray | None:
    """The clean picture written with the tables of a published JPEG; None for other kinds of file."""
    with Image.open(io.BytesIO(published)) as model:
        if not isinstance(model, JpegImagePlugin.JpegImageFile) or model.mode not in ("L", "RGB"):
            return None
        tables, sampling, mode = model.quantization, JpegImagePlugin.get_sampling(model), model.mode
    file = io.BytesIO()
    options = {} if sampling < 0 else {"subsampling": sampling}
    Image.fromarray(clean).convert(mode).save(file, "JPEG", qtables=tables, **options)
    return np.asarray(Image.open(file).convert("RGB"))
