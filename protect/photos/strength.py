"""How strong the protection is, by name: what may be changed, and what a photo must look like afterwards."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Strength:
    """`epsilon` is the largest change where texture hides it, in 255ths (flat areas get a quarter of it).

    `floor` is the SSIM at display size (longest side 1,080 px) that every photo keeps; `ssim` the mean that was
    measured on camera photos, by benchmarks/photos.py.
    """

    epsilon: float
    floor: float
    ssim: float
    effect: str


STRENGTHS = {
    "subtle": Strength(4.0, 0.96, 0.99, "hardly to be seen beside the original; the weakest protection"),
    "balanced": Strength(8.0, 0.92, 0.973, "a faint grain on even areas, for who looks closely"),
    "strong": Strength(16.0, 0.80, 0.914, "lines that everybody sees, on a screen too"),
}
