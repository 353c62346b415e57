"""Small pictures of photos, upright and in the photo's own colours, for pages that show many."""

import io
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from protect.data.file_types import HEAD, kind_of
from protect.data.images import Jpeg, check_size
from protect.data.photo_files import UPRIGHT, read_head, read_still
from protect.data.pictures import shown

SMALL = 480  # longest side, in pixels


def small_picture(path: Path, longest: int, max_pixels: int) -> bytes:
    """A JPEG whose longest side is at most `longest`. Raises what `read_still` raises.

    A small one of a JPEG is made from every second to eighth pixel, which spares most of the work.
    """
    with path.open("rb") as file:
        if kind_of(file.read(HEAD)) == "JPEG" and longest == SMALL:
            file.seek(0)
            with suppress(ValueError, OSError, SyntaxError, LookupError):  # damage: read_still says what it is
                return _quick(file, read_head(path, max_pixels).orientation, max_pixels)
    still = read_still(path, max_pixels)
    return small_jpeg(still.image, longest, still.icc)


def _quick(file: BinaryIO, orientation: int, max_pixels: int) -> bytes:
    image: Image.Image = Jpeg(file)
    check_size(image.size, max_pixels)
    image.draft("RGB", (SMALL, SMALL))
    image.load()
    turn, icc = UPRIGHT.get(orientation), image.info.get("icc_profile")
    return small_jpeg(image if turn is None else image.transpose(turn), SMALL, icc)


def small_jpeg(image: Image.Image, longest: int, icc: bytes | None) -> bytes:
    """A decoded picture as a JPEG whose longest side is at most `longest`."""
    small = shown(image)
    small = small.copy() if small is image else small  # thumbnail works in place
    small.thumbnail((longest, longest))
    buffer = io.BytesIO()
    profile = icc if icc and icc[16:20] == b"RGB " else None
    small.save(buffer, "JPEG", quality=82 if longest == SMALL else 95, icc_profile=profile)
    return buffer.getvalue()
