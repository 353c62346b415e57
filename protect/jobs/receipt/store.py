"""The receipt on the disk: for each picture that has one both twins as a model sees them, and which was published.

coins.key          the secret that all coins are drawn from
pairs/DIGEST.zip   a.png, b.png and pair.json with both captions; the name is a hash of the picture's key
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from protect.data.photo_files import decode_still
from protect.data.pictures import shown
from protect.files import write_whole

PAIRS, ABOUT = "pairs", "pair.json"
LONGEST_SIDE_SEEN = 384  # pixels of the shorter side that are kept: no CLIP in use sees more
PICTURES = ("a.png", "b.png")


@dataclass(frozen=True)
class TwinPair:
    """Two twins, each a picture and its caption, and which of them was published (0 or 1)."""

    name: str
    pictures: tuple[Image.Image, Image.Image]
    captions: tuple[str, str]
    published: int


def seen(data: bytes, max_pixels: int) -> Image.Image:
    """A published file as a model sees it: RGB, shrunk where it is larger than needed."""
    image = shown(decode_still(io.BytesIO(data), max_pixels).image)
    shrink = LONGEST_SIDE_SEEN / min(image.size)
    if shrink >= 1:
        return image
    size = round(image.width * shrink), round(image.height * shrink)
    return image.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)


def pair_path(receipt: Path, key: str) -> Path:
    name = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
    return receipt / PAIRS / f"{name}.zip"


def is_kept(receipt: Path, key: str, published: bytes) -> bool:
    """Whether the receipt has the pair that belongs to a published file, and not to an earlier one."""
    try:
        with zipfile.ZipFile(pair_path(receipt, key)) as members:
            return bool(json.loads(members.read(ABOUT))["sha256"] == hashlib.sha256(published).hexdigest())
    except (OSError, ValueError, LookupError, TypeError, zipfile.BadZipFile):
        return False


def write_pair(receipt: Path, key: str, pair: TwinPair, published: bytes) -> None:
    """Adds a pair, or writes it anew; whole or not at all. `published` is the file of the published twin."""
    path = pair_path(receipt, key)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as members:
        for name, picture in zip(PICTURES, pair.pictures, strict=True):
            png = io.BytesIO()
            picture.save(png, "PNG")
            members.writestr(zipfile.ZipInfo(name), png.getvalue())
        about: dict[str, object] = {"name": pair.name, "captions": pair.captions, "published": pair.published}
        about["sha256"] = hashlib.sha256(published).hexdigest()
        members.writestr(zipfile.ZipInfo(ABOUT), json.dumps(about))
    write_whole(path, file.getvalue(), mode=0o600)


def read_pairs(receipt: Path) -> Iterator[TwinPair]:
    """All pairs of a receipt in the order of their hashes, which no coin has a part in.

    Raises ValueError where there are none or one is damaged.
    """
    paths = sorted((receipt / PAIRS).glob("*.zip"))
    if not paths:
        raise ValueError(f"{receipt}: expected a receipt made with --receipt, found no pairs in it")
    for path in paths:
        try:
            with zipfile.ZipFile(path) as members:
                one, two = (Image.open(io.BytesIO(members.read(name))).convert("RGB") for name in PICTURES)
                about = json.loads(members.read(ABOUT))
            captions, published = (str(about["captions"][0]), str(about["captions"][1])), int(about["published"])
            yield TwinPair(str(about["name"]), (one, two), captions, published)
        except (OSError, ValueError, LookupError, TypeError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path}: expected a pair of twins, got: {error}; restore the receipt") from error
