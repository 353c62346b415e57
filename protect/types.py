"""Names and shapes of the tensors that flow between modules; written once, used everywhere."""

from dataclasses import dataclass

from jaxtyping import Float, Int, Int8, UInt8
from torch import Tensor

from protect.samples import Words

Images = Float[Tensor, "batch 3 height width"]  # pixels in [0, 1]
Pixels = UInt8[Tensor, "batch 3 height width"]  # pixels in 0..255
Noise = Int8[Tensor, "batch 3 height width"]  # change of a pixel, in 255ths
Tokens = Int[Tensor, "batch length"]
Features = Float[Tensor, "batch dim"]  # unit length


@dataclass(frozen=True)
class Batch:
    """Samples as a method sees them: keys, views at training size, every caption of each image.

    gray: brightness in 255ths at training size, for a method whose noise follows the picture; the images are then
    small ones, for their colours.
    """

    keys: tuple[str, ...]
    images: Images
    captions: tuple[tuple[str, ...], ...]
    gray: Float[Tensor, "batch rows columns"] | None = None

    def __len__(self) -> int:
        return len(self.keys)


@dataclass(frozen=True)
class Protection:
    """What a method asks to be changed, by sample key: one noise and one trigger per image."""

    keys: tuple[str, ...]
    noise: Noise
    words: tuple[Words, ...]
