"""A folder of photos as samples: picture bytes and caption, as a method is fitted on them or a scraper finds them."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from protect.data.caption_lists import read_list
from protect.data.images import ImageError
from protect.data.photo_captions import find_caption, sidecar_texts
from protect.data.photo_files import Unsuited, read_still
from protect.data.photo_folder import walk
from protect.data.pictures import shown
from protect.settings.publish import PhotoSettings
from protect.types import Member, Sample

EXTENSIONS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp"}  # what a sample's reader knows


def is_photo_folder(sources: Sequence[str]) -> bool:
    """Whether the sources are one folder, and it holds no shards."""
    if len(sources) != 1 or not Path(sources[0]).is_dir():
        return False
    return not any(path.suffix == ".tar" or path.name.endswith(".tar.gz") for path in Path(sources[0]).iterdir())


def photo_samples(source: Path, settings: PhotoSettings | None = None) -> Iterator[Sample]:
    """Every photo that can be read, by its name below the folder, with its caption where it has one.

    The picture is the file's own bytes; kinds that a sample cannot hold (TIFF, AVIF, HEIC) become PNG.
    """
    settings = settings or PhotoSettings()
    listed = read_list(source)
    for entry in walk(source):
        if entry.kind != "photo":
            continue
        try:
            still = read_still(entry.path, settings.max_pixels)
            caption = find_caption(entry, still.metadata, listed, settings.caption_from, sidecar_texts(entry))
            data = entry.path.read_bytes() if still.kind in EXTENSIONS else _as_png(still.image)
        except (ImageError, Unsuited, ImportError, OSError):
            continue  # the run over the photos says so by name
        picture = Member(f"photo.{EXTENSIONS.get(still.kind, 'png')}", data)
        text = (Member("photo.txt", caption.text.encode()),) if caption.text else ()
        yield Sample(entry.name, (picture, *text))


def _as_png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    shown(image).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
