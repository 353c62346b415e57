"""Pairs of pictures one can look at: clean, protected, their difference, as data URIs in the page."""

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np
from PIL import Image

GAIN = 16
SHOWN = 320  # pixels; of larger pictures the centre, so that a pixel stays a pixel
FINE, ROUGH = 95, 75  # quality of JPEG: pictures, their difference (noise, which would be large)
EXACT = 128  # pixels; above, JPEG of high quality keeps the page small


@dataclass(frozen=True, eq=False)
class SamplePair:
    """One sample before and after: HxWx3 uint8 pictures of one size, and a caption each."""

    key: str
    clean: np.ndarray
    protected: np.ndarray
    clean_caption: str
    protected_caption: str

    def __post_init__(self) -> None:
        if self.clean.shape != self.protected.shape or self.clean.dtype != np.uint8 or self.clean.ndim != 3:
            found = f"{self.clean.dtype} {self.clean.shape} and {self.protected.shape}"
            raise ValueError(
                f"{self.key}: expected two uint8 HxWx3 pictures of one size, got {found}; resize neither"
            )


@dataclass(frozen=True)
class Shown:
    """A sample as the page has it: three data URIs, shown width in pixels, captions, the largest change."""

    key: str
    clean: str
    protected: str
    difference: str
    width: int
    height: int
    cropped: bool
    linf: int
    clean_caption: str
    words: tuple[tuple[str, bool], ...]


def show(pair: SamplePair) -> Shown:
    """The centre of both pictures, the difference times 16 around grey, captions with what was added told apart."""
    change = pair.protected.astype(np.int16) - pair.clean
    difference = np.clip(128 + GAIN * change, 0, 255).astype(np.uint8)
    height, width = pair.clean.shape[:2]
    return Shown(
        key=pair.key,
        clean=data_uri(_centre(pair.clean)),
        protected=data_uri(_centre(pair.protected)),
        difference=data_uri(_centre(difference), ROUGH),
        width=min(width, SHOWN),
        height=min(height, SHOWN),
        cropped=max(width, height) > SHOWN,
        linf=int(np.abs(change).max(initial=0)),
        clean_caption=pair.clean_caption,
        words=tuple(_added(pair.clean_caption.split(), pair.protected_caption.split())),
    )


def data_uri(picture: np.ndarray, quality: int = FINE) -> str:
    """The picture inside an address: PNG when small, else JPEG without chroma subsampling."""
    small, data = max(picture.shape[:2]) <= EXACT, io.BytesIO()
    if small:
        Image.fromarray(picture).save(data, "PNG", optimize=True)
    else:
        Image.fromarray(picture).save(data, "JPEG", quality=quality, subsampling=0)
    return f"data:image/{'png' if small else 'jpeg'};base64,{base64.b64encode(data.getvalue()).decode()}"


def _centre(picture: np.ndarray) -> np.ndarray:
    top, left = (max(0, (side - SHOWN) // 2) for side in picture.shape[:2])
    return np.ascontiguousarray(picture[top : top + SHOWN, left : left + SHOWN])


def _added(clean: list[str], protected: list[str]) -> Iterator[tuple[str, bool]]:
    """Runs of words of the protected caption, and whether the clean one lacks them there."""
    for kind, _, _, begin, end in SequenceMatcher(None, clean, protected, autojunk=False).get_opcodes():
        if begin < end:
            yield " ".join(protected[begin:end]), kind != "equal"
