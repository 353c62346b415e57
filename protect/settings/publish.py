"""How protected files are written, for shards and for photos; the three strengths with their numbers."""

from dataclasses import dataclass

from protect.settings.base import among_choices, knob, positive
from protect.settings.recipe import LANGUAGES, STYLES

STRENGTH_NAMES = ("subtle", "balanced", "strong")
FLOOR = 0.93  # SSIM below which noise starts to show at normal viewing size
CAPTION_PLACES = ("csv", "sidecar", "xmp", "iptc", "exif", "folder")


@dataclass(frozen=True)
class PublishSettings:
    """How protected samples are written."""

    mask: bool = knob(True, "put less noise where the eye would see it: on skies, skin and walls")
    floor: float | None = knob(
        FLOOR, "SSIM that each picture keeps, 0 to 1: its noise is lowered until it does; none for no floor",
        unset="no floor",
    )  # fmt: skip
    jpeg_quality: int = knob(95, "quality of written JPEG and lossy WebP files, 1 to 100")
    jpeg_sampling: str = knob("444", "chroma sampling of written JPEGs: 444 or keep", ("444", "keep"))
    max_pixels: int = knob(250_000_000, "larger pictures are refused as decompression bombs")
    caption_keys: tuple[str, ...] = knob(
        ("caption", "captions", "text", "alt"), "JSON and parquet fields that hold captions"
    )
    urls: str | None = knob(
        None, "links to the clean originals (url, sha256 and the like): keep or strip them", ("keep", "strip"),
        unset="input with links is refused",
    )  # fmt: skip
    others: str | None = knob(
        None,
        "members and columns that may show the picture again (arrays, embeddings, pictures): drop or keep them, "
        "or refuse a sample that has one",
        ("drop", "keep", "refuse"), unset="input with such parts is refused",
    )  # fmt: skip
    unmatched: str | None = knob(
        None,
        "rows of a parquet that name no sample of the shard: keep them as they are, or drop their captions and links",
        ("keep", "drop"), unset="a shard with such rows is refused",
    )  # fmt: skip
    keep_gps: bool = knob(False, "keep where a photo was taken, in JSON and parquet")
    on_error: str = knob(
        "keep",
        "a sample that cannot be protected: keep it unchanged, skip (leave out) it, or fail",
        ("keep", "skip", "fail"),
    )

    def __post_init__(self) -> None:
        among_choices(self)
        if self.floor is not None and not 0 <= self.floor <= 1:
            raise ValueError(f"floor: expected an SSIM of 0 to 1, got {self.floor}")
        if not 1 <= self.jpeg_quality <= 100:
            raise ValueError(f"jpeg_quality: expected 1 to 100, got {self.jpeg_quality}")


@dataclass(frozen=True)
class PhotoSettings:
    """How the photos of a folder are protected and written."""

    strength: str = knob("balanced", "how strong the protection is, and how visible", STRENGTH_NAMES)
    caption_from: tuple[str, ...] = knob(
        CAPTION_PLACES,
        "where captions are looked for, in this order; the first one counts (folder: the album's name)",
    )
    trigger_words: int | None = knob(
        None, "attribute words planted in each caption; 0 leaves captions as they are", unset="the method's own, 4"
    )
    trigger_style: str | None = knob(
        None,
        "where the words go: in front, at the end, as hashtags, both, or natural (as phrases in front)",
        STYLES, unset="natural, or as the protector says",
    )  # fmt: skip
    language: str | None = knob(
        None, "language of suggested texts, and of trigger_style natural", tuple(LANGUAGES),
        unset="en, or as the protector says",
    )  # fmt: skip
    keep_gps: bool = knob(False, "keep the GPS position of photos")
    opt_out: bool = knob(True, "write into each file that it must not be used for training (PLUS DataMining)")
    quality: int | None = knob(
        None, "quality of written JPEG, WebP, AVIF and HEIC files, 1 to 100", unset="each photo's own"
    )
    max_pixels: int = knob(400_000_000, "larger pictures are refused as decompression bombs")
    seed: int | None = knob(None, "the key that noise and words are drawn from", unset="a random key, stored in OUT")

    def __post_init__(self) -> None:
        among_choices(self)
        positive(self, "max_pixels", "quality")
        if unknown := sorted(set(self.caption_from) - set(CAPTION_PLACES)):
            raise ValueError(f"caption_from: expected {', '.join(CAPTION_PLACES)}, got {', '.join(unknown)}")
        if self.quality is not None and self.quality > 100:
            raise ValueError(f"quality: expected 1 to 100, got {self.quality}")
        for name in ("seed", "trigger_words"):
            if (value := getattr(self, name)) is not None and value < 0:
                raise ValueError(f"{name}: expected 0 or more, got {value}")


@dataclass(frozen=True)
class Strength:
    """`epsilon` is the largest change where texture hides it, in 255ths (flat areas get a quarter of it).

    `floor` is the SSIM at display size (longest side 1,080 px) that every photo keeps; `ssim` the mean that was
    measured on camera photos by benchmarks/photos.py.
    """

    epsilon: float
    floor: float
    ssim: float
    effect: str


STRENGTHS = {
    "subtle": Strength(4.0, 0.96, 0.99, "hard to see even beside the original; the weakest protection"),
    "balanced": Strength(8.0, 0.92, 0.973, "a faint grain on even areas, visible on close inspection"),
    "strong": Strength(16.0, 0.80, 0.914, "lines that anybody sees, on a screen too"),
}
