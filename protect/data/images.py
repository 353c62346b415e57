"""Bytes <-> pixels: what a scraper's decoder sees, and the same kind of file written again."""

import io
import math
import re
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from PIL import Image, ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from protect.data.containers import png_chunks, webp_lossless, webp_size
from protect.data.file_types import HEAD, kind_of
from protect.data.pictures import shown
from protect.data.views import see
from protect.settings.publish import PublishSettings

ORIENTATION = 0x0112
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # the weights of Pillow's own conversion to grey
WRITTEN = {"RGB": "RGB", "RGBA": "RGBA", "L": "L", "LA": "LA", "1": "RGB", "P": "RGB", "CMYK": "RGB"}
WRITTEN |= {"I;16": "I;16", "I": "I;16"}
_growing = threading.Lock()
Read = TypeVar("Read")


class ImageError(ValueError):
    """A picture that cannot be read, or is not of a kind that can be written again."""


class Jpeg(JpegImagePlugin.JpegImageFile):
    """The primary picture; opened without Pillow's look into EXIF, which warns when that is damaged."""

    def _read_dpi_from_exif(self) -> None:
        return None


OPENERS = {
    "JPEG": (b"\xff\xd8\xff", Jpeg),
    "PNG": (b"\x89PNG\r\n\x1a\n", PngImagePlugin.PngImageFile),
    "WEBP": (b"RIFF", WebPImagePlugin.WebPImageFile),
}


@dataclass(frozen=True, eq=False)
class Photo:
    """A decoded picture and what is needed to write the same kind of file again.

    `mode` is Pillow's mode of the file, `image` the picture in the mode it is written in (a 16-bit grey one: I;16).
    """

    kind: str
    mode: str
    image: Image.Image
    icc: bytes | None
    orientation: int
    dpi: tuple[float, float] | None
    sampling: int
    progressive: bool
    lossless: bool
    chunks: tuple[tuple[bytes, bytes], ...]
    notes: tuple[str, ...]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.image.size

    @property
    def color(self) -> np.ndarray:
        """HxWx3 uint8 as `convert("RGB")` gives it; of 16-bit grey the values / 257, rounded (Pillow's saturate)."""
        return np.asarray(shown(self.image))


def decode(data: bytes, max_pixels: int) -> Photo:
    """The picture in a JPEG, PNG or WebP file; its size is checked before any pixel is decoded."""
    return _read(data, max_pixels, _photo)


def size_of(data: bytes, max_pixels: int) -> tuple[int, int]:
    """Width and height of the picture in a file, by its header; raises as `decode` does, as far as that tells."""
    return _read(data, max_pixels, lambda image, kind, data: image.size)


def _read(data: bytes, max_pixels: int, use: Callable[[ImageFile.ImageFile, str, bytes], Read]) -> Read:
    """What is made of the opened file, whose pixels are not decoded yet."""
    kind = next((kind for kind, (magic, _) in OPENERS.items() if data.startswith(magic)), None)
    if kind is None:
        found = file_name_of(data)
        raise ImageError(f"expected a JPEG, PNG or WebP file, found {found}; convert it first")
    if kind == "WEBP":  # its opener allocates the canvas, so the header has to be looked at before
        check_size(webp_size(data), max_pixels)
    try:
        image: ImageFile.ImageFile = OPENERS[kind][1](io.BytesIO(data))
        check_size(image.size, max_pixels)
        frames = getattr(image, "n_frames", 1)
        if frames > 1:
            raise ImageError(f"expected a still picture, found {frames} frames; publish one frame of it")
        return use(image, kind, data)
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # hostile bytes: Pillow's parsers raise nearly anything
        found = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(f"expected a whole {kind} file, found damage ({found}); get it again") from error


def file_name_of(data: bytes) -> str:
    """What a file is that is none of the kinds that are read, in words."""
    kind = kind_of(data[:HEAD])
    if kind:
        return f"a {kind} file" if kind[0] not in "A" else f"an {kind} file"
    if not data:
        return "an empty file"
    return "a web page or other text" if data.lstrip()[:1] in (b"<", b"{") else f"bytes {data[:8].hex()}"


def encode(photo: Photo, image: Image.Image, settings: PublishSettings) -> bytes:
    """The file of `photo` with another picture of the same mode and size.

    Of the metadata only the colour profile, the resolution and the orientation are kept. Same input, same bytes.
    """
    exif = Image.Exif()
    if photo.orientation != 1:
        exif[ORIENTATION] = photo.orientation
    options: dict = {"icc_profile": photo.icc, "exif": exif.tobytes() if len(exif) else b""}
    if photo.dpi:
        options["dpi"] = photo.dpi
    buffer = io.BytesIO()
    if photo.kind == "JPEG":
        sampling = 0 if settings.jpeg_sampling == "444" else photo.sampling
        options |= {"quality": settings.jpeg_quality, "subsampling": sampling}
        with room(math.prod(photo.size) if photo.progressive else 0, len(photo.icc or b"")):
            image.save(buffer, "JPEG", progressive=photo.progressive, **options)
    elif photo.kind == "PNG":
        info = PngImagePlugin.PngInfo()
        for name, body in photo.chunks:
            info.add(name, body)
        image.save(buffer, "PNG", pnginfo=info, **options)
    else:
        quality = 80 if photo.lossless else settings.jpeg_quality  # lossless: effort, not quality
        image.save(buffer, "WEBP", lossless=photo.lossless, quality=quality, method=4, exact=True, **options)
    return buffer.getvalue()


def to_view(color: np.ndarray, size: int) -> np.ndarray:
    """The 3 x size x size uint8 square that CLIP's preprocessing makes of an HxWx3 uint8 picture."""
    return np.asarray(see(Image.fromarray(np.ascontiguousarray(color)), size)).transpose(2, 0, 1).copy()


def check_size(size: tuple[int, int], max_pixels: int) -> None:
    found = f"{size[0]}x{size[1]}"
    if min(size) < 1:
        raise ImageError(f"expected a picture of at least 1x1 pixels, found {found}; get it again")
    if size[0] * size[1] > max_pixels:
        cure = "raise max_pixels if the file can be trusted"
        raise ImageError(f"expected at most {max_pixels} pixels, found {found}, a decompression bomb?; {cure}")


def _photo(image: ImageFile.ImageFile, kind: str, data: bytes) -> Photo:
    image.load()
    if image.mode not in WRITTEN:
        raise ImageError(f"expected a grey or colour picture, found mode {image.mode}; convert it to RGB")
    info, picture = image.info, _as_written(image)
    notes = [*_conversions(image, kind, data, picture.mode)]
    if kind == "WEBP" and picture.mode == "RGBA" and picture.getchannel("A").getextrema() == (255, 255):
        picture = picture.convert("RGB")  # its encoder drops an opaque alpha
        notes.append("opaque alpha channel dropped")
    picture.info = {}  # encoders would write it
    icc = info.get("icc_profile") or None
    if icc and picture.mode in ("RGB", "RGBA") and icc[16:20] in (b"CMYK", b"GRAY"):
        notes.append(f"{icc[16:20].decode()} colour profile dropped")
        icc = None
    return Photo(
        kind=kind,
        mode=image.mode,
        image=picture,
        icc=icc,
        orientation=_orientation(info),
        dpi=dpi_of(info),
        sampling=max(0, JpegImagePlugin.get_sampling(image)),  # one that Pillow cannot write: 4:4:4
        progressive=bool(info.get("progressive")),
        lossless=kind == "PNG" or (kind == "WEBP" and webp_lossless(data)),
        chunks=tuple(png_chunks(data)) if kind == "PNG" else (),
        notes=tuple(notes),
    )


def _as_written(image: Image.Image) -> Image.Image:
    """The picture in the mode that it is written in; a transparent colour becomes an alpha channel."""
    mode = WRITTEN[image.mode]
    if mode == "I;16":
        return Image.fromarray(np.asarray(image).astype(np.uint16))
    if not image.has_transparency_data or mode == "LA":
        return image if image.mode == mode else image.convert(mode)
    whole = image.convert("RGBA")
    return Image.merge("LA", (whole.getchannel("R"), whole.getchannel("A"))) if mode == "L" else whole


def _conversions(image: Image.Image, kind: str, data: bytes, written: str) -> Iterator[str]:
    """What the written file cannot keep of the original's kind."""
    names = {"1": "1-bit picture", "P": "palette picture", "CMYK": "CMYK picture"}
    if image.mode in names:
        yield f"{names[image.mode]} written as {written}"
    elif "transparency" in image.info:
        fate = "dropped" if written == "I;16" else "written as an alpha channel"
        yield f"transparent colour of the {image.mode} picture {fate}"
    if kind == "PNG" and data[24] == 16 and written != "I;16":
        yield "16-bit colour written with 8 bits"
    if "mp" in image.info:
        yield "further pictures in the file (MPF) dropped"


def _orientation(info: dict) -> int:
    """The EXIF orientation, 1 to 8; read here because Pillow's reader warns about damage."""
    tiff = bytes(info.get("exif") or b"").removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order and len(tiff) >= 8:
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        for at in range(start + 2, min(len(tiff) - 11, start + 12 * 512), 12):
            tag, _, _, value = struct.unpack_from(order + "HHIH", tiff, at)
            if tag == ORIENTATION and 1 <= value <= 8:
                return value
    match = re.search(rb'tiff:Orientation(?:="|>)([1-8])', bytes(info.get("xmp") or b""))
    return int(match[1]) if match else 1


def dpi_of(info: dict) -> tuple[float, float] | None:
    dpi = info.get("dpi")
    if not dpi or not all(math.isfinite(x) and 1 <= x < 65535 for x in dpi):
        return None
    return float(dpi[0]), float(dpi[1])


@contextmanager
def room(pixels: int, other: int = 0) -> Iterator[None]:
    """Room for a loud progressive JPEG of so many pixels: Pillow's buffer of 2 bytes each fails on strong noise.

    `other` bytes of metadata go on top; 0 pixels, nothing is changed.
    """
    if not pixels:
        yield
        return
    with _growing:
        before = ImageFile.MAXBLOCK
        ImageFile.MAXBLOCK = 4 * pixels + other + (1 << 17)
        try:
            yield
        finally:
            ImageFile.MAXBLOCK = before
