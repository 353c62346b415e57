"""OUT/gallery.html: every photo before and after, its text to post, what was changed, and what needs attention.

The page itself is the same for everybody and tells nothing. What it shows, former captions and the way to the
originals, is a list in the private folder, with small pictures beside it: a page uploaded by mistake stays empty.
"""

import base64
import hashlib
import json
import math
import os
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from protect.data.file_types import HEAD, MOVIE_NAMES, PICTURE_NAMES, RAW_NAMES, kind_of
from protect.files import HOME, write_whole
from protect.jobs.photos.records import PhotoRecord
from protect.jobs.photos.small import SMALL, small_picture

PAGE = "gallery.html"
FOLDER = f"{HOME}/private/gallery"
LIST = "photos.js"
LARGE = 2400  # longest side of copies of what browsers do not show
SHOWN = ("JPEG", "PNG", "WEBP", "AVIF")
MOST_PIXELS = 60_000_000  # larger files are shown as copies: a browser would need gigabytes
PHOTO_NAMES = PICTURE_NAMES | RAW_NAMES | MOVIE_NAMES


def write_gallery(out: Path, source: Path, records: Iterable[PhotoRecord]) -> Path:
    """Writes the page, its private list, and small pictures where they are missing or old; returns the page.

    A picture that cannot be made smaller is left out. Raises OSError where the page cannot be written.
    """
    folder = _folder(out)
    known = [record for record in records if record.status != "skipped" or _is_photo(record.name)]
    photos = [record_as_shown(record, record.name) | make_pictures(out, source, record) for record in known]
    kept = {name for photo in photos for name in (photo.get("small"), *photo.get("views", ()))} | {LIST}
    for path in folder.iterdir():
        if path.name not in kept:
            path.unlink()
    about = {
        "private": f"{FOLDER}/",
        "before": _way(source, out),
        "elsewhere": source.resolve().as_uri() + "/",
        "source": _readable(str(source)),
        "photos": photos,
    }
    text = json.dumps(about, separators=(",", ":"), allow_nan=False)  # ASCII: nothing in it ends a script
    write_whole(folder / LIST, f"window.PHOTOS = {text};\n".encode(), mode=0o600)
    write_whole(out / PAGE, page().encode())
    return out / PAGE


def page(folder: str = FOLDER) -> str:
    """The page with its style and script inside; its policy lets it load pictures and its list, nothing else.

    `folder` is that of the list, seen from the page.
    """
    html, style, *scripts = map(page_part, ("gallery.html", "gallery.css", "shared.js", "gallery.js"))
    script = "".join(scripts)
    html = html.replace("STYLE_HASH", _hash(style)).replace("SCRIPT_HASH", _hash(script))
    html = html.replace("DATA", f"{folder}/{LIST}")
    return html.replace("<style>STYLE<", f"<style>{style}<").replace("<script>SCRIPT<", f"<script>{script}<")


def page_part(name: str) -> str:
    """The text of a file that the page is made of."""
    return (files("protect.jobs.photos") / "page" / name).read_text("utf-8")


def make_pictures(out: Path, source: Path, record: PhotoRecord) -> dict[str, Any]:
    """Names of the small picture of a protected photo, and of the two copies where browsers show no such file.

    Made where missing or older than the photo: called after each photo, it spares `write_gallery` the work.
    """
    if record.status != "protected":
        return {}
    written, folder = out / record.name, _folder(out)
    stem = hashlib.sha256(os.fsencode(record.name)).hexdigest()[:24]
    small, *views = (f"{stem}{end}.jpg" for end in ("", "-before", "-after"))
    try:
        wanted = [(written, small, SMALL)]
        if not _is_shown(written, record):
            wanted += [(source / record.name, views[0], LARGE), (written, views[1], LARGE)]
        else:
            views = []
        for path, name, longest in wanted:
            if not _is_newer(folder / name, written):
                write_whole(folder / name, small_picture(path, longest, MOST_PIXELS * 10), mode=0o600)
    except Exception:  # a file that was changed since, or no decoder: parsers raise nearly anything
        return {}
    return {"small": small} | ({"views": views} if views else {})


def _folder(out: Path) -> Path:
    folder = out / FOLDER
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.mkdir(exist_ok=True, mode=0o700)
    return folder


def record_as_shown(record: PhotoRecord, name: str) -> dict[str, Any]:
    """A record as the page reads it, its file called `name`; what is empty is left out."""
    values = {
        "name": _readable(name),
        "path": quote(os.fsencode(name)),
        "status": record.status,
        "reason": _readable(record.reason),
        "former": _readable(record.caption_before) if record.caption != record.caption_before else "",
        "caption": _readable(record.caption),
        "from": record.caption_from,
        "suggested": record.suggested,
        "lowered": record.lowered,
    }
    if record.status == "protected":
        numbers = ("width", "height", "epsilon", "linf", "psnr", "ssim", "seconds")
        values |= {name: value for name in numbers if math.isfinite(value := getattr(record, name))}
    return {name: value for name, value in values.items() if value not in ("", False)}


def _is_photo(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in PHOTO_NAMES


def _is_shown(path: Path, record: PhotoRecord) -> bool:
    with path.open("rb") as file:
        return kind_of(file.read(HEAD)) in SHOWN and record.width * record.height <= MOST_PIXELS


def _is_newer(made: Path, photo: Path) -> bool:
    """By the time the photo was written, which its own time does not tell: that is its original's."""
    return made.exists() and made.stat().st_mtime_ns >= photo.stat().st_ctime_ns


def _way(source: Path, out: Path) -> str:
    """From the page to the originals, relative where there is a way: both folders may then move together."""
    try:
        return quote(os.fsencode(os.path.relpath(source.absolute(), out.absolute()))) + "/"
    except ValueError:  # another drive
        return source.resolve().as_uri() + "/"


def _readable(text: str) -> str:
    """Text in which what is no Unicode (a name's bytes) is marked."""
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
