"""A bounded window of the data that methods fit on: views at training size and captions, noise kept on disk."""

import hashlib
import shutil
import tempfile
import weakref
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from protect.data.noise_store import NoiseStore
from protect.types import Batch, Pixels


class Window:
    """Pairs to fit on, addressed by number; pixels and noise live in memory-mapped files as single bytes.

    Memory held is a batch, whatever the number of pairs; the files vanish with the window.
    """

    def __init__(self, size: int, room: int) -> None:
        self.size = size
        self.keys: list[str] = []
        self.captions: list[tuple[str, ...]] = []
        self.refused: Counter[str] = Counter()  # samples that could not be used, by the reason
        self.detail: dict[str, str] = {}  # of the first one of each reason
        folder = tempfile.mkdtemp(prefix="protect-window-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        shape = (room, 3, size, size)
        self._pixels = np.memmap(Path(folder) / "pixels", np.uint8, "w+", shape=shape)
        self._noise = NoiseStore.create(Path(folder) / "noise", room, size)

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def full(self) -> bool:
        return len(self) == len(self._pixels)

    def add(self, key: str, view: np.ndarray, captions: Sequence[str]) -> None:
        """Append one image (3, size, size) uint8 and its captions."""
        self._pixels[len(self)] = view
        self.keys.append(key)
        self.captions.append(tuple(captions))

    def fingerprint(self) -> str:
        """Hash of the keys, captions and pixels."""
        digest = hashlib.sha256(repr((self.keys, self.captions)).encode())
        for pixels in self._pixels[: len(self)]:
            digest.update(pixels)
        return digest.hexdigest()

    def batch(self, rows: Tensor) -> Batch:
        pixels = torch.from_numpy(self._pixels[rows.numpy()])
        numbers = rows.tolist()
        return Batch(
            tuple(self.keys[i] for i in numbers), to_images(pixels), tuple(self.captions[i] for i in numbers)
        )

    def noise(self, rows: Tensor) -> Tensor:
        """Noise of these pairs in 255ths, as float."""
        return self._noise.read(rows).float()

    def store_noise(self, rows: Tensor, noise: Tensor) -> None:
        self._noise.write(rows, noise)

    def stored_noise(self) -> NoiseStore:
        """The noise of all pairs, as it stands on the disk; the window lives as long as it does."""
        return self._noise.first(len(self), owner=self)

    def epoch(self, size: int, generator: torch.Generator) -> Iterator[Tensor]:
        """Every pair once, in random order, in batches of `size`; a lone last pair joins the batch before it."""
        yield from _split(torch.randperm(len(self), generator=generator), size)


def _split(order: Tensor, size: int) -> Iterable[Tensor]:
    parts = list(order.split(size))
    if len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts


def to_images(pixels: Pixels) -> Tensor:
    """Pixels as models take them: float in [0, 1]."""
    return pixels.float() / 255
