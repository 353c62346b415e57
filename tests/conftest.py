"""Tiny shards and photos, built in memory."""

import io
import json
import tarfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Content = bytes | str | dict
Members = Iterable[tuple[str, bytes]]


@pytest.fixture(scope="session")
def photo_bytes() -> Callable[..., bytes]:
    """photo_bytes(format, mode, size, seed, **save options): a small picture file, smooth with some noise."""

    def make(
        format: str = "JPEG",
        mode: str = "RGB",
        size: tuple[int, int] = (64, 48),
        seed: int = 0,
        **options: object,
    ) -> bytes:
        width, height = size
        down, right = np.mgrid[0:height, 0:width]
        smooth = np.stack([down * 255 / height, right * 255 / width, 255 - down * 255 / height], axis=2)
        pixels = smooth + np.random.default_rng(seed).normal(0, 8, smooth.shape)
        image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
        if mode == "I;16":
            image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
        elif mode == "LA":
            image = image.convert("L").convert("LA")
        else:
            image = image.convert(mode)
        buffer = io.BytesIO()
        image.save(buffer, format, **options)
        return buffer.getvalue()

    return make


@pytest.fixture(scope="session")
def make_tar() -> Callable[[Path, Members], Path]:
    """make_tar(path, [(name, data), ...]): a tar as others write it, gzip when the name ends in gz."""

    def make(path: Path, members: Members) -> Path:
        with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as tar:
            for name, data in members:
                info = tarfile.TarInfo(name)
                info.size, info.mtime, info.uname = len(data), 1700000000, "someone"
                tar.addfile(info, io.BytesIO(data))
        return path

    return make


@pytest.fixture(scope="session")
def make_shard(make_tar: Callable[[Path, Members], Path]) -> Callable[[Path, Mapping], Path]:
    """make_shard(path, {key: {extension: bytes | str | dict}}): a dict becomes img2dataset's JSON."""

    def as_bytes(content: Content) -> bytes:
        if isinstance(content, dict):
            content = json.dumps(content, indent=4)
        return content.encode() if isinstance(content, str) else content

    def make(path: Path, samples: Mapping[str, Mapping[str, Content]]) -> Path:
        return make_tar(
            path, [(f"{k}.{e}", as_bytes(c)) for k, members in samples.items() for e, c in members.items()]
        )

    return make
