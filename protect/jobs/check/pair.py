"""One photo: what is left of its protection in the file that was downloaded."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from protect.data.photo_files import Still, read_still
from protect.data.pictures import shown
from protect.jobs.check.alignment import Alignment, align, part
from protect.jobs.check.measured import Outlook, outlook
from protect.jobs.check.noise_left import NoiseLeft, noise_left
from protect.jobs.check.own import (
    FROM_KEY,
    FROM_METHOD,
    ORIGINAL,
    Planes,
    Run,
    noise_of_original,
    noise_of_run,
    read_mine,
)
from protect.jobs.check.words import WordsLeft, words_left

CREDITS = ("dc:creator", "dc:rights")
SMALLEST = 32  # pixels on the shorter side of the common part at training size


@dataclass(frozen=True)
class Marks:
    """What of the file's own statements is left: the opt-out, and any of the credits (creator, rights).

    `marked`: the protected file carries the tool's own mark, as every file of `protect photos` does.
    """

    marked: bool
    opt_out_before: bool
    opt_out: bool
    credits_before: bool
    credits: bool


@dataclass(frozen=True)
class Check:
    """One pair of files.

    `likeness` says whether they show the same; where they do not, nothing else was measured. `area` is the share of
    the protected picture that the other one shows, `scale` its pixels for each pixel of the protected one.
    `noise_by`: what told where the noise is.
    """

    mine: str
    downloaded: str
    likeness: float
    same: bool
    area: float = 0.0
    scale: float = 0.0
    noise: NoiseLeft | None = None
    noise_by: str = ""
    words: WordsLeft | None = None
    marks: Marks | None = None
    outlooks: tuple[Outlook, ...] = ()


def check_pair(
    mine: Path,
    downloaded: Path,
    run: Run,
    original: Path | None = None,
    caption: str | None = None,
    size: int = 224,
    max_pixels: int = 400_000_000,
) -> Check:
    """Compares a protected photo with what a site made of it; `caption` is the text found beside it there.

    Raises what `read_still` raises, ValueError where the common part is too small or the file holds no noise.
    """
    still, posted = read_mine(mine, max_pixels)
    found, beside = read_mine(downloaded, max_pixels)
    before, after = shown(still.image), shown(found.image)
    place = align(before, after)
    if not place.same:
        return Check(str(mine), str(downloaded), place.likeness, False)
    record = run.record(mine)
    posted = record.caption if record else posted
    own = record.caption_before if record else None
    if original is not None:
        planes, by = noise_of_original(before, shown(read_still(original, max_pixels).image)), ORIGINAL
    else:
        text = own if own is not None else posted
        planes, by = noise_of_run(run, still, text, size), FROM_KEY if run.knows_key else FROM_METHOD
    left = _compared(before, after, planes, place, size, original is not None)
    words = words_left(posted, own, beside if caption is None else caption)
    shares = (1.0, 0.0) if words.share is None else (words.share,)
    return Check(
        str(mine),
        str(downloaded),
        place.likeness,
        True,
        area=_area(place.mine) / (still.image.width * still.image.height),
        scale=(_area(place.found) / _area(place.mine)) ** 0.5,
        noise=left,
        noise_by=by,
        words=words,
        marks=_marks(still, found),
        outlooks=tuple(outlook(left.left, share) for share in shares),
    )


def _compared(
    mine: Image.Image, found: Image.Image, noise: Planes, place: Alignment, size: int, exact: bool
) -> NoiseLeft:
    """The noise that is left in the part that both show, at the scale at which a model sees the downloaded file."""
    scale = size / min(found.size)
    left, top, right, bottom = place.found
    frame = max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale))
    if min(frame) < SMALLEST:
        raise ValueError(
            f"common part: expected at least {SMALLEST} pixels at training size, found {min(frame)}; "
            "cut away what stands around the photo"
        )
    across, down = noise[0].width / mine.width, noise[0].height / mine.height
    box = place.mine[0] * across, place.mine[1] * down, place.mine[2] * across, place.mine[3] * down
    added = np.stack([np.asarray(part(plane, box, frame)) for plane in noise], axis=-1)
    seen, held = (
        np.asarray(part(picture, box, frame), np.float32)
        for picture, box in ((found, place.found), (mine, place.mine))
    )
    return noise_left(seen, held, np.broadcast_to(added, held.shape), exact)


def _area(box: tuple[float, float, float, float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _marks(mine: Still, found: Still) -> Marks:
    one, two = mine.metadata, found.metadata
    credits = [any(about.named.get(name) for name in CREDITS) for about in (one, two)]
    return Marks(one.marked, one.opted_out, two.opted_out, *credits)
