"""Every knob of the tool, with its default, unit and help; imports no torch, so that `--help` stays fast."""

from dataclasses import dataclass

from protect.settings.base import AUTO, among_choices, knob, positive
from protect.settings.recipe import LOOK_WORDS, LOOKS

STRENGTH_NAMES = ("subtle", "balanced", "strong")
CAPTION_PLACES = ("csv", "sidecar", "xmp", "iptc", "exif", "folder")


@dataclass(frozen=True)
class PublishSettings:
    """How protected samples are written."""

    jpeg_quality: int = knob(95, "quality of written JPEG and lossy WebP files, 1 to 100")
    jpeg_sampling: str = knob("444", "chroma sampling of written JPEGs: 444 or keep", ("444", "keep"))
    max_pixels: int = knob(250_000_000, "larger pictures are refused as decompression bombs")
    caption_keys: tuple[str, ...] = knob(
        ("caption", "captions", "text", "alt"), "JSON and parquet fields that hold captions"
    )
    urls: str = knob("", "url, sha256 and the like lead back to the clean original: keep or strip", ("keep", "strip"))
    on_error: str = knob(
        "keep",
        "a sample that cannot be protected: keep it unchanged, skip (drop) it, or fail",
        ("keep", "skip", "fail"),
    )

    def __post_init__(self) -> None:
        among_choices(self)
        if not 1 <= self.jpeg_quality <= 100:
            raise ValueError(f"jpeg_quality: expected 1 to 100, got {self.jpeg_quality}")


@dataclass(frozen=True)
class PhotoSettings:
    """How the photos of a folder are protected and written."""

    strength: str = knob("balanced", "how much may be seen of it: subtle, balanced or strong", STRENGTH_NAMES)
    caption_from: tuple[str, ...] = knob(
        CAPTION_PLACES, "where captions are looked for, the first that is found counts; folder: the album's name"
    )
    trigger_words: int = knob(
        LOOK_WORDS, "words in front of every caption that say how its photo looks (0: captions stay untouched)"
    )
    keep_gps: bool = knob(False, "keep where a photo was taken")
    opt_out: bool = knob(True, "write into each file that it must not be used for training (PLUS DataMining)")
    quality: int = knob(0, "quality of written JPEG, WebP, AVIF and HEIC files, 1 to 100 (0: each photo's own)")
    max_pixels: int = knob(400_000_000, "larger pictures are refused as decompression bombs")
    seed: int = knob(AUTO, f"the key that patterns and words are drawn from ({AUTO}: a random one, kept in OUT)")

    def __post_init__(self) -> None:
        among_choices(self)
        positive(self, "max_pixels")
        if unknown := sorted(set(self.caption_from) - set(CAPTION_PLACES)):
            raise ValueError(f"caption_from: expected {', '.join(CAPTION_PLACES)}, got {', '.join(unknown)}")
        if not 0 <= self.quality <= 100:
            raise ValueError(f"quality: expected 1 to 100, or 0 for each photo's own, got {self.quality}")
        if self.seed < AUTO:
            raise ValueError(f"seed: expected 0 or more, or {AUTO} for a random key, got {self.seed}")
        if not 0 <= self.trigger_words <= LOOKS:
            raise ValueError(f"trigger_words: expected 0 to {LOOKS}, got {self.trigger_words}")


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
