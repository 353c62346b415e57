"""Decoded pictures in a file mapped to memory: every process reads the same pages, and the system may drop them."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, overload

import numpy as np


class Pictures(Sequence[np.ndarray]):
    """Pictures (uint8, H x W x 3, each of its own size) of one file; goes to other processes as its name."""

    def __init__(self, path: Path, starts: np.ndarray, shapes: np.ndarray) -> None:
        self.path, self.starts, self.shapes = path, starts, shapes

    @classmethod
    def write(cls, path: Path, pictures: Iterable[np.ndarray]) -> "Pictures":
        """Puts the pictures into a new file, one in memory at a time."""
        with PictureFile(path) as file:
            for picture in pictures:
                file.add(picture)
        return file.pictures

    @cached_property
    def _bytes(self) -> np.ndarray:
        return np.memmap(self.path, np.uint8, "c")  # a reader that draws on a picture changes its own copy

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_bytes"}

    def __len__(self) -> int:
        return len(self.starts)

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, index: slice) -> "Pictures": ...
    def __getitem__(self, index: int | slice) -> "np.ndarray | Pictures":
        if isinstance(index, slice):
            return self.select(range(len(self))[index])
        start, (height, width) = self.starts[index], self.shapes[index]
        return self._bytes[start : start + 3 * height * width].reshape(height, width, 3)

    def select(self, rows: Sequence[int]) -> "Pictures":
        """Some of the pictures, in the order of `rows`; no pixel is copied."""
        chosen = np.asarray(rows, np.int64)
        return Pictures(self.path, self.starts[chosen], self.shapes[chosen])


class PictureFile:
    """A file that pictures are put into one by one; `pictures` are all of them, once it is closed."""

    def __init__(self, path: Path) -> None:
        self.path, self.file = path, path.open("wb")
        self.ends: list[int] = [0]
        self.shapes: list[tuple[int, ...]] = []

    def __enter__(self) -> "PictureFile":
        return self

    def __exit__(self, *error: object) -> None:
        self.file.close()

    def add(self, picture: np.ndarray) -> None:
        self.file.write(np.ascontiguousarray(picture).data)
        self.ends.append(self.ends[-1] + picture.size)
        self.shapes.append(picture.shape[:2])

    @property
    def pictures(self) -> Pictures:
        starts = np.array([start for start, _ in pairwise(self.ends)], np.int64)
        return Pictures(self.path, starts, np.array(self.shapes, np.int64).reshape(-1, 2))
