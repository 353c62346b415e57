"""Photo files <-> pictures: any kind that can be written again as the same kind, upright and with its own quality."""

import io
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from PIL import AvifImagePlugin, Image, ImageFile, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

from protect.data.containers import PNG_COLOR, png_chunks, webp_lossless, webp_size
from protect.data.file_types import HEAD, PICTURES, kind_of
from protect.data.images import ImageError, Jpeg, check_size, dpi_of
from protect.data.metadata import exif, iso_boxes
from protect.data.metadata.metadata import Metadata, read_metadata
from protect.data.optional import missing
from protect.data.unreadable import why_not

WRITTEN = {mode: mode for mode in ("L", "LA", "RGB", "RGBA", "CMYK", "I;16")}
WRITTEN |= {"1": "L", "P": "RGB", "PA": "RGBA", "RGBX": "RGB", "YCbCr": "RGB", "I;16B": "I;16", "I;16L": "I;16"}
MODES = {  # what each kind can hold
    "JPEG": ("L", "RGB", "CMYK"),
    "PNG": ("L", "LA", "RGB", "RGBA", "I;16"),
    "TIFF": ("L", "LA", "RGB", "RGBA", "CMYK", "I;16"),
    "WEBP": ("RGB", "RGBA"),
    "AVIF": ("RGB", "RGBA"),
    "HEIF": ("RGB", "RGBA"),
}
PROFILES = {"CMYK": b"CMYK", "L": b"GRAY", "LA": b"GRAY", "I;16": b"GRAY"}  # what a mode's colour profile is for
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
KEPT_COMPRESSION = ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits")
MOST_IN_HEIC = 142_606_336  # pixels of the largest picture that HEVC codes (ITU-T H.265, level 7.2)
QUALITY = 90  # where a file does not say its own
BITS_PER_SAMPLE, DNG_VERSION = 258, 50706


class Unsuited(ValueError):
    """A sound picture of a kind that is left alone: animated, several pages, raw."""


@dataclass(eq=False)
class Still:
    """An upright picture (mode as it is written), and what is needed to write the same kind of file again.

    A 16-bit grey picture has mode I;16. `options` are the encoder's, `notes` what cannot be kept.
    """

    kind: str
    image: Image.Image
    metadata: Metadata
    icc: bytes | None
    dpi: tuple[float, float] | None
    lossless: bool
    options: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_still(path: Path, max_pixels: int) -> Still:
    """Decodes a file; its size is checked before any pixel is.

    Raises Unsuited, ImageError on damage, ImportError where a HEIC file needs pillow-heif, OSError of the disk.
    """
    with path.open("rb") as file:
        return decode_still(file, max_pixels)


def read_head(path: Path, max_pixels: int) -> Metadata:
    """What stands beside the pixels of a JPEG or TIFF, without decoding one; of other kinds, and of damage, nothing.

    Readers of the other kinds decode the picture, or allocate it, before they give its texts away.
    """
    with suppress(Exception), path.open("rb") as file, warnings.catch_warnings():  # parsers raise nearly anything
        warnings.simplefilter("ignore")
        kind = kind_of(file.read(HEAD))
        file.seek(0)
        if kind in ("JPEG", "TIFF"):
            image = OPENERS[kind](file)
            check_size(image.size, max_pixels)
            return read_metadata(image, file)
    return Metadata()


def decode_still(file: io.BufferedIOBase, max_pixels: int) -> Still:
    """As `read_still`, from an open file."""
    head = file.read(HEAD)
    kind = kind_of(head)
    if kind not in PICTURES:
        raise ImageError(f"expected a picture, found {'bytes ' + head[:8].hex() if head else 'no bytes'}; remove it")
    file.seek(0)
    data = file.read() if kind in ("WEBP", "AVIF", "HEIF") else b""
    if data:
        file = io.BytesIO(data)
    if kind == "WEBP":  # its opener allocates the canvas, so the header has to be looked at before
        check_size(webp_size(data), max_pixels)
    heif = pillow_heif() if kind == "HEIF" else None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of damaged metadata; what is left of it is used
            image = OPENERS[kind](file) if heif is None else heif.HeifImageFile(file)
            check_size(image.size, max_pixels)
            _check_suited(image, kind)
            image.load()
            return _still(image, kind, data or head, file)
    except (ImageError, Unsuited, MemoryError):
        raise
    except OSError as error:
        if error.errno is not None:  # the disk's; Pillow's own have no number
            raise
        raise _damage(kind, error, file) from error
    except Exception as error:  # hostile bytes: parsers raise nearly anything
        raise _damage(kind, error, file) from error


OPENERS: dict[str, Callable[[Any], ImageFile.ImageFile]] = {
    "JPEG": Jpeg,
    "PNG": PngImagePlugin.PngImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "AVIF": AvifImagePlugin.AvifImageFile,
}


def _damage(kind: str, error: Exception, file: io.BufferedIOBase) -> ImageError:
    if reason := why_not(kind, file):
        return ImageError(reason)
    found = " ".join(str(error).split()) or type(error).__name__
    return ImageError(f"expected a whole {kind} file, found damage ({found}); get it again")


def pillow_heif() -> ModuleType:
    """The reader and writer of HEIC, an extra."""
    try:
        import pillow_heif as module
    except ImportError:
        raise missing("HEIC and HEIF", "heic") from None
    return module


def _check_suited(image: ImageFile.ImageFile, kind: str) -> None:
    frames = getattr(image, "n_frames", 1)
    if kind == "TIFF":
        tags = getattr(image, "tag_v2", {})
        if DNG_VERSION in tags:
            raise Unsuited("RAW: export it as JPEG or TIFF, and protect that")
        if frames > 1:
            raise Unsuited(f"a TIFF of {frames} pages: save the one to be published as a file of its own")
    elif frames > 1 and kind != "HEIF":
        raise Unsuited(f"animated, {frames} frames: only stills are protected")
    if kind == "HEIF" and image.width * image.height > MOST_IN_HEIC:
        found = f"{image.width}x{image.height}"
        raise ImageError(f"expected a HEIC of at most {MOST_IN_HEIC:,} pixels, found {found}; save it as JPEG")


def _still(image: ImageFile.ImageFile, kind: str, data: bytes, file: Any) -> Still:
    metadata = read_metadata(image, file)
    notes = _losses(image, kind, _bits(image, kind, data), metadata)
    icc = image.info.get("icc_profile") or None
    options = _options(image, kind, file)
    if kind in ("AVIF", "HEIF"):
        notes += _coding(data, options, icc)
    lossless = kind in ("PNG", "TIFF") or (kind == "WEBP" and webp_lossless(data))
    if not lossless and kind != "JPEG":
        notes.append(f"quality {QUALITY} unless --quality says another: the file does not tell its own")
    turn = UPRIGHT.get(metadata.orientation)
    picture = _as_written(image, kind, notes)
    if icc and icc[36:40] != b"acsp":
        notes.append("damaged colour profile dropped")
        icc = None
    if icc and icc[16:20] != PROFILES.get(picture.mode, b"RGB "):
        notes.append(f"{icc[16:20].decode('latin-1').strip()} colour profile dropped")
        icc = None
    if turn is not None:
        picture = picture.transpose(turn)
    elif picture is image and kind == "TIFF":
        picture = image.copy()  # Pillow writes the packets of a TIFF that it has read
    picture.info = {}
    return Still(kind, picture, metadata, icc, _dpi(image, metadata), lossless, options, notes)


def _dpi(image: ImageFile.ImageFile, metadata: Metadata) -> tuple[float, float] | None:
    """Pixels an inch by the file's own head, else by its EXIF."""
    value = dpi_of(image.info) or dpi_of({"dpi": exif.dpi(metadata.exif)})
    return value[::-1] if value and metadata.orientation > 4 else value


def _coding(data: bytes, options: dict[str, Any], icc: bytes | None) -> list[str]:
    """How the colours of an AVIF or HEIC are meant goes into its options; what is lost of it is said."""
    color = options["color"] = iso_boxes.color_of(data)
    notes = []
    if color is None and icc is None:
        notes.append("no colour tags: read and written as sRGB")
    if color is not None and color.transfer in iso_boxes.HDR and icc is None:
        notes.append(f"HDR picture ({iso_boxes.HDR[color.transfer]}): bands may show")
    if color is not None and color.matrix == iso_boxes.IDENTITY:
        notes.append(f"written with loss, quality {QUALITY}")
    return notes


def _as_written(image: ImageFile.ImageFile, kind: str, notes: list[str]) -> Image.Image:
    """The loaded picture in a mode that its kind of file can be written in."""
    mode = WRITTEN.get(image.mode)
    if mode is None:
        raise ImageError(f"expected a grey or colour picture, found mode {image.mode}; convert it to RGB")
    if mode != "I;16" and image.has_transparency_data and mode not in ("LA", "RGBA"):
        mode = "LA" if mode == "L" and kind in ("PNG", "TIFF") else "RGBA"
    if mode not in MODES[kind]:
        mode = "RGBA" if mode == "LA" else "RGB"
    if kind == "WEBP" and mode == "RGBA" and image.convert("RGBA").getchannel("A").getextrema() == (255, 255):
        mode = "RGB"  # its encoder drops an opaque alpha
        notes.append("opaque alpha channel dropped")
    if image.mode in ("1", "P", "PA"):
        notes.append(f"{ {'1': '1-bit'}.get(image.mode, 'palette') } picture written as {mode}")
    if mode == "I;16":
        return Image.fromarray(np.asarray(image).astype(np.uint16)) if image.mode != mode else image
    return image.convert(mode) if image.mode != mode else image


def _losses(image: ImageFile.ImageFile, kind: str, bits: int, metadata: Metadata) -> list[str]:
    """What the written file cannot, or must not, keep of the original."""
    notes = []
    if bits > 8 and not image.mode.startswith("I"):
        notes.append(f"{bits}-bit {'grey' if image.mode in ('L', 'LA') else 'colour'} written with 8 bits")
    if "mp" in image.info:
        notes.append("further pictures in the file (preview, gain map) removed")
    if kind == "HEIF" and (getattr(image, "n_frames", 1) > 1 or image.info.get("depth_images")):
        notes.append("further pictures in the file removed")
    if metadata.keywords:
        notes.append(f"{len(metadata.keywords)} keywords left out: they describe the photo as a caption does")
    if metadata.motion:
        notes.append("movie of the motion photo removed")
    return notes


def _bits(image: ImageFile.ImageFile, kind: str, head: bytes) -> int:
    """Bits of a channel as the file has them, where its kind may have more than 8."""
    if kind == "PNG":
        return head[24]
    if kind == "TIFF":
        return max(getattr(image, "tag_v2", {}).get(BITS_PER_SAMPLE, (8,)))
    if kind in ("AVIF", "HEIF"):
        return max(iso_boxes.bit_depth_of(head), int(image.info.get("bit_depth", 8)))
    return 8


def _options(image: ImageFile.ImageFile, kind: str, file: Any) -> dict[str, Any]:
    """How the same kind of file is written: a JPEG's own tables, a TIFF's compression, a PNG's colour chunks."""
    if kind == "JPEG":
        sampling = JpegImagePlugin.get_sampling(image)
        tables = getattr(image, "quantization", {})
        usable = set(tables) == set(range(len(tables))) and all(max(table) < 256 for table in tables.values())
        own = [list(tables[n]) for n in sorted(tables)]
        return {
            "qtables": own if usable else None,
            "quality": -1 if usable else estimated_quality(own),  # a quality would scale the tables
            "subsampling": max(0, sampling),  # one that Pillow cannot write: 4:4:4
            "progressive": bool(image.info.get("progressive")),
        }
    if kind == "TIFF":
        compression = image.info.get("compression", "raw")
        return {"compression": compression if compression in KEPT_COMPRESSION else "tiff_lzw"}
    if kind == "PNG":
        file.seek(0)
        return {"chunks": [chunk for chunk in png_chunks(file.read(1 << 20)) if chunk[0] in PNG_COLOR]}
    return {}


def estimated_quality(tables: list[list[int]]) -> int:
    """The libjpeg quality whose luminance table adds up to most nearly what the first of these does."""
    if not tables:
        return QUALITY
    total = sum(tables[0])
    return min(range(1, 101), key=lambda quality: abs(_table_sum(quality) - total))


def _table_sum(quality: int) -> int:
    """Sum of libjpeg's luminance table at a quality (its base table adds up to 3688)."""
    scale = 5000 / quality if quality < 50 else 200 - 2 * quality
    return max(64, round(3688 * scale / 100))
