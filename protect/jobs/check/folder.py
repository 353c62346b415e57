"""Folders: which downloaded photo was made of which protected one, by content, whatever their names."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from protect.data.photo_files import read_still
from protect.data.photo_folder import walk
from protect.data.pictures import shown
from protect.jobs.check.alignment import rough_likeness
from protect.jobs.check.own import Run
from protect.jobs.check.pair import Check, check_pair
from protect.publish.leak_pictures import NEAR, bits_apart, perceptual_hash, small_pixels

THUMBNAIL = 64  # longer side of what is compared first
ROUGH = 0.6  # likeness of thumbnails from which on a pair is looked at in full
TRIED = 3  # protected photos that a downloaded one is compared with in full, at most


@dataclass(frozen=True)
class Thumbnail:
    """A photo as it is matched: its file, its perceptual hash, a small grey picture."""

    path: Path
    code: np.uint64
    grey: Image.Image


@dataclass(frozen=True)
class Unread:
    """A file that could not be compared, and why."""

    path: str
    reason: str


def check_all(
    mine: Path,
    downloaded: Path,
    seed: int | None = None,
    original: Path | None = None,
    caption: str | None = None,
    size: int = 224,
    max_pixels: int = 400_000_000,
) -> Iterator[Check | Unread]:
    """Every downloaded photo beside the protected one it was made of; two files are compared as they are.

    `original` is the original of a file, or the folder that has those of a folder under the same names. A photo that
    no protected one belongs to comes out with the likeness of the nearest one.
    """
    for place in filter(None, (mine, downloaded, original)):
        if not place.exists():
            raise ValueError(f"{place}: expected a photo or a folder of photos, found nothing; check the name")
    run = Run.of(mine, seed)
    if mine.is_file() and downloaded.is_file():
        yield _guarded(downloaded, lambda: check_pair(mine, downloaded, run, original, caption, size, max_pixels))
        return
    own = [one for one in _thumbnails(mine, max_pixels) if isinstance(one, Thumbnail)]
    if not own:
        raise ValueError(
            f"{mine}: expected protected photos, found none; name the folder that `protect photos` wrote"
        )

    def match(found: Thumbnail) -> Check:
        checks = []
        for candidate in _candidates(found, own)[:TRIED]:
            clean = _original(original, mine, candidate.path)
            checks.append(check_pair(candidate.path, found.path, run, clean, caption, size, max_pixels))
            if checks[-1].same:
                return checks[-1]
        return max(checks, key=lambda check: check.likeness) if checks else Check("", str(found.path), 0.0, False)

    for one in _thumbnails(downloaded, max_pixels):
        yield one if isinstance(one, Unread) else _guarded(one.path, partial(match, one))


def _guarded(path: Path, work: Callable[[], Check]) -> Check | Unread:
    try:
        return work()
    except MemoryError:
        raise
    except Exception as error:  # hostile bytes: parsers raise nearly anything
        return Unread(str(path), " ".join(str(error).split()) or type(error).__name__)


def _thumbnails(place: Path, max_pixels: int) -> Iterator[Thumbnail | Unread]:
    files = [entry.path for entry in walk(place) if entry.kind == "photo"] if place.is_dir() else [place]
    for path in files:
        try:
            image = shown(read_still(path, max_pixels).image)
        except MemoryError:
            raise
        except Exception as error:
            yield Unread(str(path), " ".join(str(error).split()) or type(error).__name__)
            continue
        grey = image.convert("L")
        grey.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.BICUBIC)
        yield Thumbnail(path, perceptual_hash(small_pixels(np.asarray(image))), grey)


def _candidates(found: Thumbnail, own: Sequence[Thumbnail]) -> list[Thumbnail]:
    """The protected photos that a downloaded one may be made of, the likeliest first.

    A perceptual hash finds those that are shown whole; only where it finds none is each looked for as a part.
    """
    apart = bits_apart(np.array([one.code for one in own]), found.code)
    near = [own[i] for i in np.argsort(apart, kind="stable") if apart[i] <= NEAR]
    if near:
        return near
    rough = [(rough_likeness(found.grey, one.grey), one) for one in own]
    likely = sorted((pair for pair in rough if pair[0] >= ROUGH), key=lambda pair: -pair[0])
    return [one for _, one in likely]


def _original(original: Path | None, mine: Path, path: Path) -> Path | None:
    """The original of a protected photo, if there is one under its name."""
    if original is None or not original.is_dir():
        return original
    clean = original / path.relative_to(mine)
    return clean if clean.exists() else None
