"""Noise of many images in one file of single bytes: read and written a few at a time, never held in memory."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int8
from torch import Tensor

READ = 1 << 24  # bytes hashed at a time


class NoiseStore:
    """Rows of int8 noise (3, size, size) in the file `path`; `owner` is what keeps the file from being deleted.

    The file is mapped for each access alone, so that pages once touched do not count as memory for ever.
    """

    def __init__(self, path: Path, rows: int, size: int, owner: object = None) -> None:
        self.path, self.shape, self._owner = path, (rows, 3, size, size), owner

    def __len__(self) -> int:
        return self.shape[0]

    @classmethod
    def create(cls, path: Path, rows: int, size: int) -> "NoiseStore":
        """A new file of zeros."""
        np.memmap(path, np.int8, "w+", shape=(rows, 3, size, size))
        return cls(path, rows, size)

    def read(self, rows: Tensor) -> Int8[Tensor, "batch 3 height width"]:
        return torch.from_numpy(self._map("r")[rows.numpy()])

    def write(self, rows: Tensor, noise: Int8[Tensor, "batch 3 height width"]) -> None:
        self._map("r+")[rows.numpy()] = noise.cpu().numpy()

    def owned(self, owner: object) -> "NoiseStore":
        """The same file, kept from being deleted."""
        return NoiseStore(self.path, self.shape[0], self.shape[2], owner)

    def copy(self, path: Path) -> None:
        """These rows as a file of their own, readable by its owner alone."""
        path.touch(mode=0o600)
        with self.path.open("rb") as source, path.open("wb") as target:
            shutil.copyfileobj(source, target, READ)
            target.truncate(self._bytes)

    def digest(self) -> str:
        """SHA-256 of the rows; ValueError when the file is shorter than they are."""
        digest, left = hashlib.sha256(), self._bytes
        with self.path.open("rb") as file:
            while left and (part := file.read(min(READ, left))):
                digest.update(part)
                left -= len(part)
        if left:
            raise ValueError(f"{self.path}: expected {self._bytes} bytes of noise, found {self._bytes - left}")
        return digest.hexdigest()

    @property
    def _bytes(self) -> int:
        return int(np.prod(self.shape))

    def _map(self, mode: str) -> np.ndarray:
        return np.memmap(self.path, np.int8, mode, shape=self.shape)  # type: ignore[call-overload]
