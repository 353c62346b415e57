"""Write a photo again as the same kind of file, with its own quality and profile."""

import io
import math
from dataclasses import replace
from typing import Any

from PIL import Image, PngImagePlugin

from protect.data.images import room
from protect.data.metadata.iptc import jpeg_segment
from protect.data.metadata.iso_boxes import with_color
from protect.data.metadata.metadata import Written
from protect.data.metadata.tiff import BYTE, UNDEFINED, Block, Entry, add_to_tiff, write_block
from protect.data.photo_files import QUALITY, Still, pillow_heif

PNG_EFFORT = 4  # twice as fast as zlib's own choice, a few per cent larger
IPTC_TAG, XMP_TAG = 33723, 700
AVIF_SPEED = 10  # an eighth of the time of 6, 6 % larger
HEIF_PRESET = "ultrafast"  # a tenth of the time of the encoder's own choice


def encode_still(still: Still, image: Image.Image, new: Written, quality: int | None) -> bytes:
    """The file of `still` with another picture of its size and mode; quality None is the photo's own."""
    buffer = io.BytesIO()
    common: dict[str, Any] = {"icc_profile": still.icc or b"", "xmp": new.xmp}
    if block := write_block(new.exif):
        common["exif"] = block
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
        image.save(buffer, "TIFF", **(still.options | {"icc_profile": still.icc}))
        return add_to_tiff(buffer.getvalue(), _with_packets(new))
    elif still.kind == "WEBP":
        effort = 80 if still.lossless else quality or QUALITY  # lossless: effort, not quality
        image.save(buffer, "WEBP", lossless=still.lossless, quality=effort, method=4, exact=True, **common)
    elif still.kind == "AVIF":
        image.save(buffer, "AVIF", quality=quality or QUALITY, subsampling="4:4:4", speed=AVIF_SPEED, **common)
        color = still.options["color"]
        return with_color(buffer.getvalue(), color) if color else buffer.getvalue()
    else:
        _save_heif(still, image, buffer, common | {"quality": quality or QUALITY})
    return buffer.getvalue()


def _save_heif(still: Still, image: Image.Image, buffer: io.BytesIO, options: dict[str, Any]) -> None:
    image.info = {"icc_profile": still.icc} if still.icc else {}
    if not still.icc:
        options.pop("icc_profile")  # an empty one would take the place of the colour tags
    if color := still.options["color"]:
        options |= {"color_primaries": color.primaries, "transfer_characteristics": color.transfer}
    pillow_heif().from_pillow(image).save(buffer, enc_params={"preset": HEIF_PRESET}, **options)


def _png_info(still: Still, new: Written) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    for name, body in still.options["chunks"]:
        info.add(name, body)
    info.add_itxt("XML:com.adobe.xmp", new.xmp.decode())
    for name, text in new.texts.items():
        info.add_itxt(name, text)
    return info


def _with_packets(new: Written) -> Block:
    """The directories of a TIFF: those of EXIF, with the packets that are tags there too."""
    packets = {XMP_TAG: Entry(BYTE, new.xmp), IPTC_TAG: Entry(UNDEFINED, new.iptc)}
    return replace(new.exif, main=new.exif.main | {tag: entry for tag, entry in packets.items() if entry.data})
