"""Clean pictures among published ones: equal, written again, or at another size.

A perceptual hash finds whose picture it might be; whether it is the clean one is decided by the pixels: what a
protected picture adds to its original is either in a copy or it is not.
"""

import io
import warnings
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

SIDE = 64  # pictures are compared at this size, in grey
TINTS = 8  # and their colours at this one
HASH = 8  # bits on each side of a perceptual hash
NEAR = 12  # bits of 64 by which hashes of one picture may differ
MOST_PIXELS = 100_000_000
FAINT = 0.15  # of 255: a protection that is weaker at SIDE cannot be told from none
SAME = 2.5  # of 255: a published picture that is nearer to the clean one at SIDE is looked at pixel by pixel
CARRIED = 0.4  # share of a protection that a copy of another size and quality keeps at least
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
LEAST = 8  # pixels on a side: no protection can be told in a smaller picture
EQUAL = 0.5  # of 255: pixels that differ by less are the same
LIKENESS = 14.0  # of 255: pictures of one sample that differ by more show different things
COPY = 4.0  # of 255: the same for pictures of two samples, which may be shots of one scene


class Small(NamedTuple):
    """A picture upright and small: in grey at SIDE x SIDE, and its colours at TINTS x TINTS."""

    grey: np.ndarray
    tints: np.ndarray


def small(data: bytes) -> Small | None:
    """The picture in a file; None where there is none that opens."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # large or oddly packed pictures
            opened = Image.open(io.BytesIO(data))
            if opened.size[0] * opened.size[1] > MOST_PIXELS:
                return None
            opened.draft("RGB", (2 * SIDE, 2 * SIDE))  # a large JPEG is decoded at a fraction of its size
            image = _turned(opened).convert("RGB")
            grey = image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
            return Small(np.asarray(grey), np.asarray(image.resize((TINTS, TINTS), Image.Resampling.BOX)))
    except MemoryError:
        raise
    except Exception:  # hostile bytes: Pillow's parsers raise nearly anything
        return None


def small_pixels(color: np.ndarray) -> np.ndarray:
    """HxWx3 pixels in grey at SIDE x SIDE."""
    grey = Image.fromarray(np.ascontiguousarray(color)).convert("L")
    return np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BOX))


def small_array(array: np.ndarray) -> np.ndarray | None:
    """An array of pixels, of whatever range and order of axes, in grey; None where it can be no picture."""
    if array.ndim > 3:
        array = array[0] if array.shape[0] == 1 else array.reshape(-1, *array.shape[-2:])
    if array.ndim == 1:
        return _square(array)
    if array.ndim < 2 or array.dtype.kind not in "uif" or min(array.shape[-2:]) < 1:
        return None
    if array.ndim == 3 and array.shape[0] in (1, 3, 4) and array.shape[2] not in (3, 4):
        array = array.transpose(1, 2, 0)
    if array.ndim == 3:
        array = array[..., :3].astype(np.float32) @ LUMA if array.shape[2] >= 3 else array[..., 0]
    if min(array.shape) < HASH:
        return None
    array = np.nan_to_num(array.astype(np.float32))
    low, high = float(array.min()), float(array.max())
    if high <= low:
        return None
    scaled = (array - low) / (high - low) * 255
    return np.asarray(Image.fromarray(scaled.astype(np.uint8)).resize((SIDE, SIDE), Image.Resampling.BOX))


def _square(array: np.ndarray) -> np.ndarray | None:
    """A flat list of numbers as a square picture, grey or in colour."""
    for channels in (3, 1):
        side = round((array.size / channels) ** 0.5)
        if side >= HASH and side * side * channels == array.size:
            return small_array(array.reshape(side, side, channels))
    return None


@dataclass(frozen=True)
class Suspect:
    """A picture found in OUT: where, of which sample, and whether it is the one that was protected."""

    place: str
    key: str
    pixels: np.ndarray
    is_main: bool = False
    is_array: bool = False
    data: bytes = b""


@dataclass
class CleanPictures:
    """The clean pictures by sample key: small ones, and the files where they are at hand."""

    smalls: dict[str, np.ndarray] = field(default_factory=dict)
    tints: dict[str, np.ndarray] = field(default_factory=dict)
    read: Callable[[Collection[str]], Mapping[str, bytes]] = lambda keys: {}  # the clean files of some keys
    read_published: Callable[[Collection[str]], Mapping[str, bytes]] = lambda keys: {}  # and the protected ones
    files: Mapping[str, bytes] = field(default_factory=dict)
    published: dict[str, np.ndarray] = field(default_factory=dict)  # the protected ones that scans have come across

    def add(self, key: str, picture: Small) -> None:
        self.smalls[key], self.tints[key] = picture

    def is_near(self, key: str, picture: Small) -> bool:
        """Whether a published picture is so near to the clean one that the files have to be compared."""
        pairs = ((self.smalls, picture.grey), (self.tints, picture.tints))
        return all(key in known and _rms(one.astype(np.float32) - known[key]) < SAME for known, one in pairs)

    def judge(self, suspects: list[Suspect]) -> Iterator[tuple[Suspect, str]]:
        """The suspects that are clean pictures, and how it shows."""
        if not self.smalls:
            return
        if wanted := {s.key for s in suspects if s.data} - set(self.files):
            self.files = {**self.files, **self.read(wanted)}
        keys = list(self.smalls)
        hashes = np.array([perceptual_hash(self.smalls[key]) for key in keys])
        self.published.update({s.key: s.pixels for s in suspects if s.is_main})
        by_hash: dict[int, list[str]] = defaultdict(list)
        for suspect in suspects:
            own = [suspect.key] if suspect.key in self.smalls else []
            code = int(perceptual_hash(suspect.pixels))
            if code not in by_hash:
                by_hash[code] = [keys[i] for i in np.flatnonzero(bits_apart(hashes, np.uint64(code)) <= NEAR)]
            reasons = (self._reason(suspect, k, self.published.get(k)) for k in dict.fromkeys([*own, *by_hash[code]]))
            known = [reason for reason in reasons if reason is not None]
            if known and all(known) and not self._carries(suspect):
                yield suspect, known[0]

    def _reason(self, suspect: Suspect, key: str, published: np.ndarray | None) -> str | None:
        """Why it is the clean picture of a sample; "" for the protected one, None for one of something else."""
        clean = self.smalls[key].astype(np.float32)
        pixels = suspect.pixels.astype(np.float32)
        if suspect.is_array:
            pixels = _fitted(pixels, clean)
        difference = pixels - clean
        if _rms(difference) > (LIKENESS if suspect.key == key else COPY):
            return None
        if suspect.is_main and suspect.key == key:
            return self._main(suspect, key) if suspect.data else ""
        whose = "the clean picture" if suspect.key == key else f"the clean picture of {key}"
        if published is None:
            return whose if _rms(difference) < SAME else None
        added = published.astype(np.float32) - clean
        strength = float(np.square(added).mean())
        if strength < FAINT**2:
            return ""  # the protected picture itself is the leak, if there is one
        share = float((difference * added).mean()) / strength
        return f"{whose}, without its protection" if share < 0.5 else ""

    def _carries(self, suspect: Suspect) -> bool:
        """Whether a further picture of a sample has its protection after all, looked at in its own size."""
        if suspect.is_main or not suspect.data:
            return False
        if suspect.key not in self.files:
            self.files = {**self.files, **self.read([suspect.key])}
        clean = _whole(self.files.get(suspect.key, b""))
        published, found = _whole(self.read_published([suspect.key]).get(suspect.key, b"")), _whole(suspect.data)
        if clean is None or published is None or found is None:
            return False
        before, after, now = (
            np.asarray(image.convert("L").resize(found.size, Image.Resampling.BICUBIC)).astype(np.float32)
            for image in (clean, published, found)
        )
        added = after - before
        strength = float(np.square(added).mean())
        return strength > FAINT**2 and float(((now - before) * added).mean()) / strength >= CARRIED

    def _main(self, suspect: Suspect, key: str) -> str:
        """Whether a published picture is the clean one, equal or merely written again."""
        if key not in self.files:
            return "the clean picture" if _rms(suspect.pixels.astype(np.float32) - self.smalls[key]) == 0 else ""
        if suspect.data == self.files[key]:
            return "the clean file, byte for byte"
        clean, found = _whole(self.files[key]), _whole(suspect.data)
        if clean is None or found is None or min(found.size) < LEAST:
            return ""
        if clean.size != found.size:
            at_size = clean.resize(found.size, Image.Resampling.BICUBIC)
            return "the clean picture at another size" if _apart(at_size, found) < 2 * EQUAL else ""
        if _apart(clean, found) < EQUAL:
            return "the clean picture, pixel by pixel"
        again = _again(clean, suspect.data)
        return "the clean picture, merely written again" if again and _apart(again, found) < EQUAL else ""


def _turned(image: Image.Image) -> Image.Image:
    """A picture upright; one whose EXIF is damaged as it is."""
    try:
        plain = image.format == "JPEG" and not {"exif", "xmp"} & set(image.info)
        return image if plain else ImageOps.exif_transpose(image)
    except Exception:  # hostile bytes: Pillow's parser raises nearly anything
        return image


def perceptual_hash(pixels: np.ndarray) -> np.uint64:
    """64 bits: in which direction brightness falls, in a grid of 9 x 8."""
    grid = np.asarray(Image.fromarray(pixels).resize((HASH + 1, HASH), Image.Resampling.BOX)).astype(np.int16)
    return np.packbits(grid[:, 1:] > grid[:, :-1]).view(np.uint64)[0]


def bits_apart(hashes: np.ndarray, code: np.uint64) -> np.ndarray:
    return np.unpackbits((hashes ^ code).view(np.uint8).reshape(-1, 8), axis=1).sum(1)


def _fitted(pixels: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """An array in the range of a picture: its own range may be any."""
    spread = float(pixels.std())
    return (pixels - pixels.mean()) * (float(clean.std()) / spread if spread else 0.0) + clean.mean()


def _rms(difference: np.ndarray) -> float:
    return float(np.sqrt(np.square(difference).mean()))


def _whole(data: bytes) -> Image.Image | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image: Image.Image = Image.open(io.BytesIO(data))
            if image.mode.startswith("I"):  # Pillow's own conversion of 16 bits saturates
                image = Image.fromarray((np.asarray(image).astype(np.uint32) // 257).clip(0, 255).astype(np.uint8))
            return image.convert("RGB")
    except MemoryError:
        raise
    except Exception:
        return None


def _apart(one: Image.Image, two: Image.Image) -> float:
    return _rms(np.asarray(one).astype(np.float32) - np.asarray(two))


def _again(clean: Image.Image, published: bytes) -> Image.Image | None:
    """The clean picture written with the tables of a published JPEG."""
    image = Image.open(io.BytesIO(published))
    tables = getattr(image, "quantization", None)
    if image.format != "JPEG" or not tables or image.mode == "CMYK":
        return None
    buffer = io.BytesIO()
    clean.convert(image.mode).save(buffer, "JPEG", qtables=tables, subsampling=max(0, _sampling(image)))
    return Image.open(buffer).convert("RGB")


def _sampling(image: Image.Image) -> int:
    from PIL import JpegImagePlugin

    return JpegImagePlugin.get_sampling(image)
