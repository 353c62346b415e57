"""The one gate: a picture and its change become the bytes of a file, and the claim is checked on that file.

Shards and photos come through it alike, under the same rules:

- Colours move by at most floor(epsilon) whole 255ths. Those of a 16-bit picture move in steps of 257, so that an
  epsilon means the same for it.
- Alpha is written as it was.
- What is read again from the file must be of the same kind, mode and size.
- A lossless file (PNG, TIFF, lossless WebP) is refused if a colour left epsilon or alpha moved at all.
- A lossy one (JPEG, WebP, AVIF, HEIC) is measured: its codec moves pixels by itself, AVIF and HEIC alpha too.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from protect.data.images import ImageError
from protect.data.pictures import Picture
from protect.publish.masking import tighter
from protect.publish.pixels import compare, with_noise
from protect.publish.quality import Distortion

TRIES = 4  # at lowering the noise for one picture
CLOSE = 0.4  # share of what a codec may take by itself: nearer than this to it, the codec is measured alone


class BudgetError(ValueError):
    """A lossless file that would change some colour by more than epsilon, or alpha at all."""


@dataclass(frozen=True)
class Published:
    """A file ready to be published, and how far it is from the original.

    `change` compares the decoded file with the original; `reencode` does so for the clean picture written in the
    same way: what a lossy codec does alone (None when lossless or not asked). `scale` is the factor by which the
    floor lowered the noise, `alpha` the largest change of alpha that a lossy codec made, in 255ths.
    """

    data: bytes
    change: Distortion
    reencode: Distortion | None = None
    scale: float = 1.0
    alpha: int = 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What the codec did beside the noise."""
        return (f"transparency moved by up to {self.alpha}/255 by the codec",) if self.alpha else ()


@dataclass(frozen=True)
class _Gate:
    """One picture, and how its file is written and read again."""

    picture: Picture
    epsilon: int | float
    encode: Callable[[Image.Image], bytes]
    decode: Callable[[bytes], Picture]
    floor: float | None

    def write(self, image: Image.Image) -> Published:
        """The file with this picture, read again and compared with the original."""
        data = self.encode(image)
        del image  # two pictures at a time are enough
        again, clean = self.decode(data), self.picture
        expected, found = _form(clean), _form(again)
        if expected != found:
            raise ImageError(f"written file: expected {expected}, found {found}; leave this picture out")
        colors, largest, alpha = compare(clean.image, again.image, self.floor)
        if clean.lossless and largest > self.epsilon:
            raise BudgetError(
                f"written file: expected changes within {self.epsilon:g}/255, found {largest:g}; drop it"
            )
        if clean.lossless and alpha:
            raise BudgetError(f"written file: expected alpha unchanged, found changes of {alpha}/255; drop it")
        return Published(data, colors, alpha=alpha)


def publish(
    picture: Picture,
    change: np.ndarray,
    epsilon: int | float,
    encode: Callable[[Image.Image], bytes],
    decode: Callable[[bytes], Picture],
    floor: float | None = None,
    reencode: bool = False,
) -> Published:
    """Write `picture` with `change` (float32 HxWxC in 255ths, stretched to its size), within +-epsilon.

    With a `floor` the noise is lowered until SSIM at display size keeps it. A picture that its own codec alone
    brings near the floor keeps that share of what the codec leaves. `reencode` measures the codec alone.

    Raises BudgetError when a lossless file breaks the claim, ImageError when the file is of another kind.
    """
    if not 0 <= epsilon <= 255:
        raise ValueError(f"epsilon: expected 0 to 255, got {epsilon}; it is the largest change in 255ths")
    gate = _Gate(picture, epsilon, encode, decode, floor)
    made, scale, codec = gate.write(with_noise(picture.image, change, epsilon)), 1.0, None
    if reencode and not picture.lossless:
        codec = gate.write(picture.image).change
    if floor is not None and made.change.ssim < floor:
        made, scale = _lowered(gate, change, made, floor, codec)
    return Published(made.data, made.change, codec, scale, made.alpha)


def _lowered(
    gate: _Gate, change: np.ndarray, loud: Published, floor: float, codec: Distortion | None
) -> tuple[Published, float]:
    """The picture with so much less noise that it keeps the floor, and the share of the noise that is left."""

    def write(scale: float) -> Published:
        return gate.write(with_noise(gate.picture.image, change * np.float32(scale), gate.epsilon))

    scale = tighter(1.0, loud.change.ssim, floor)
    made = write(scale)
    if not gate.picture.lossless:
        half = (1 + floor) / 2
        if codec is None and _without_noise(loud.change.ssim, made.change.ssim, scale) < half + (1 - half) * CLOSE:
            codec = gate.write(gate.picture.image).change
        if codec and codec.ssim < half:
            floor *= codec.ssim
            gate, made, scale = replace(gate, floor=floor), loud, 1.0
    for _ in range(TRIES):
        if made.change.ssim >= floor:
            break
        scale = tighter(scale, made.change.ssim, floor)
        made = write(scale)
    return made, scale


def _without_noise(loud: float, quiet: float, scale: float) -> float:
    """SSIM of the codec alone, extrapolated: what noise takes of SSIM grows with the square of its scale."""
    return 1 - ((1 - quiet) - scale**2 * (1 - loud)) / (1 - scale**2)


def _form(picture: Picture) -> str:
    width, height = picture.image.size
    return f"{'lossless' if picture.lossless else 'lossy'} {picture.kind} {picture.image.mode} {width}x{height}"
