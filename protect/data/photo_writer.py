"""Write a photo again as the same kind of file, with its own quality and profile."""

import io
import math
from typing import Any

from PIL import Image, PngImagePlugin

from protect.data.images import room
from protect.data.metadata.iptc import jpeg_segment
from protect.data.metadata.metadata import EXIF, GPS, Written
from protect.data.metadata.tiff_directories import add_directories
from protect.data.photo_files import IPTC_TAG, QUALITY, XMP_TAG, Still, _pillow_heif

PNG_EFFORT = 4  # twice as fast as zlib's own choice, a few per cent larger
AVIF_SPEED = 10  # an eighth of the time of 6, 6 % larger
HEIF_PRESET = "ultrafast"  # a tenth of the time of the encoder's own choice


def encode_still(still: Still, image: Image.Image, new: Written, quality: int) -> bytes:
    """The file of `still` with another picture of its size and mode; quality 0 is the photo's own."""
    buffer = io.BytesIO()
    common: dict[str, Any] = {"icc_profile": still.icc or b"", "exif": new.exif.tobytes(), "xmp": new.xmp}
    if still.dpi and still.kind in ("JPEG", "PNG"):
        common["dpi"] = still.dpi
    if still.kind == "JPEG":
        common |= still.options | {"extra": jpeg_segment(new.iptc), "comment": new.comment or b""}
        common["icc_profile"] = still.icc
        if quality:
            common |= {"quality": quality, "qtables": None}
        pixels, other = math.prod(image.size), len(still.icc or b"")
        with room(pixels if common["progressive"] else 0, other):
            image.save(buffer, "JPEG", **common)
    elif still.kind == "PNG":
        image.save(
            buffer, "PNG", pnginfo=_png_info(still, new), compress_level=PNG_EFFORT, **(common | {"xmp": None})
        )
    elif still.kind == "TIFF":
        image.save(buffer, "TIFF", tiffinfo=_tags(still, new), **(still.options | {"icc_profile": still.icc}))
    elif still.kind == "WEBP":
        effort = 80 if still.lossless else quality or QUALITY  # lossless: effort, not quality
        image.save(buffer, "WEBP", lossless=still.lossless, quality=effort, method=4, exact=True, **common)
    elif still.kind == "AVIF":
        image.save(buffer, "AVIF", quality=quality or QUALITY, subsampling="4:4:4", speed=AVIF_SPEED, **common)
    else:
        image.info = {"icc_profile": still.icc} if still.icc else {}
        heif = _pillow_heif().from_pillow(image)
        heif.save(buffer, quality=quality or QUALITY, enc_params={"preset": HEIF_PRESET}, **common)
    if still.kind == "TIFF":
        return add_directories(buffer.getvalue(), {tag: new.exif.get_ifd(tag) for tag in (EXIF, GPS)})
    return buffer.getvalue()


def _png_info(still: Still, new: Written) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    for name, body in still.options["chunks"]:
        info.add(name, body)
    info.add_itxt("XML:com.adobe.xmp", new.xmp.decode())
    for name, text in new.texts.items():
        info.add_itxt(name, text)
    return info


def _tags(still: Still, new: Written) -> Image.Exif:
    """The main directory of a TIFF: that of EXIF, with the packets that are tags there too."""
    tags = Image.Exif()
    for tag, value in new.exif.items():
        tags[tag] = value
    tags[XMP_TAG] = new.xmp
    if new.iptc:
        tags[IPTC_TAG] = new.iptc
    if still.dpi:
        tags[282], tags[283], tags[296] = still.dpi[0], still.dpi[1], 2
    return tags
