"""A window of the data that methods fit on: views at training size and captions, noise kept on disk."""

import hashlib
import shutil
import tempfile
import weakref
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import IO

import numpy as np
import torch
from torch import Tensor

from protect.data.noise_store import NoiseStore
from protect.types import Batch, Pixels


class Window:
    """Pairs to fit on, addressed by number, at most `room` of them (None: all there are).

    Pixels and noise live in memory-mapped files as single bytes: memory held is a batch, whatever the number of
    pairs. The files vanish with the window.
    """

    def __init__(self, size: int, room: int | None = None) -> None:
        self.size, self.room = size, room
        self.keys: list[str] = []
        self.captions: list[tuple[str, ...]] = []
        self.refused: Counter[str] = Counter()  # samples that could not be used, by the reason
        self.detail: dict[str, str] = {}  # of the first one of each reason
        self._folder = Path(tempfile.mkdtemp(prefix="protect-window-"))
        self._file = (self._folder / "pixels").open("wb")
        weakref.finalize(self, _remove, self._file, self._folder)

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def full(self) -> bool:
        return len(self) == self.room

    def add(self, key: str, view: np.ndarray, captions: Sequence[str]) -> None:
        """Append one image (3, size, size) uint8 and its captions; not once the window has been read.

        Raises IndexError when it is full.
        """
        if self.full:
            raise IndexError(f"window: expected at most {self.room} pairs, got one more")
        self._file.write(np.asarray(view, np.uint8).tobytes())
        self.keys.append(key)
        self.captions.append(tuple(captions))

    @cached_property
    def _pixels(self) -> np.ndarray:
        self._file.close()
        return np.memmap(self._folder / "pixels", np.uint8, "r", shape=(len(self), 3, self.size, self.size))

    @cached_property
    def _noise(self) -> NoiseStore:
        return NoiseStore.create(self._folder / "noise", len(self), self.size)

    def fingerprint(self) -> str:
        """Hash of the keys, captions and pixels."""
        digest = hashlib.sha256(repr((self.keys, self.captions)).encode())
        for pixels in self._pixels:
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
        return self._noise.owned(self)

    def epoch(self, size: int, generator: torch.Generator) -> Iterator[Tensor]:
        """Every pair once, in random order, in batches of `size`; a lone last pair joins the batch before it."""
        yield from _split(torch.randperm(len(self), generator=generator), size)


def _remove(file: IO[bytes], folder: Path) -> None:
    file.close()
    shutil.rmtree(folder, ignore_errors=True)


def _split(order: Tensor, size: int) -> Iterable[Tensor]:
    parts = list(order.split(size))
    if len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts


def to_images(pixels: Pixels) -> Tensor:
    """Pixels as models take them: float in [0, 1]."""
    return pixels.float() / 255
