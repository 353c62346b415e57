"""The fitted artefact: fit once, save, load, then protect any shard or photo statelessly."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from protect import __version__
from protect.clip.device import choose_device
from protect.data.noise_store import NoiseStore
from protect.data.prepared import Prepared, View
from protect.data.window import Window, to_images
from protect.methods import REMOVED, Method
from protect.methods.fitted import Fitted, Protect
from protect.methods.parts.checkpoint import Checkpoint
from protect.methods.parts.error_min import settled
from protect.methods.recipe import Recipe
from protect.samples import Words
from protect.types import Batch, Protection

FORMAT = 2  # 1 had other methods, and the device in its recipe; a setting more, with a default, is the same format
TENSORS, ABOUT, NOISE = "weights.safetensors", "protector.json", "noise.int8"


class Perturbation(NamedTuple):
    """What one picture gets: noise (int8 3xNxN, 255ths), words, and the side of the noise's middle a model sees."""

    noise: np.ndarray
    words: Words
    size: int


@dataclass(frozen=True)
class Protector:
    """A method's fitted state with everything needed to use it and to make it again.

    size: side of the square views it takes, in pixels. fingerprint: hash of the data it was fitted on.
    device: where a surrogate runs; the caller's choice, so that it stands in no artefact.
    """

    recipe: Recipe
    fitted: Fitted
    size: int
    fingerprint: str
    pairs: int
    device: str = field(default="auto", compare=False)

    @property
    def method(self) -> Method:
        """The method and its traits."""
        return self.recipe.method

    @cached_property
    def _protect(self) -> Protect:
        return self.method.protector(self.fitted, self.recipe, choose_device(self.device))

    def protect(self, batch: Batch) -> Protection:
        """Noise and words for a batch of views; depends on nothing but the batch and this artefact."""
        return self._protect(batch)

    def look(self, item: Prepared) -> View:
        """What the method sees of a picture: the square in its middle, or all of it where the noise follows it.

        Where the noise fits any size, a picture smaller than the views is seen at its own.
        """
        image = item.picture.image
        size = min(self.size, *image.size) if self.method.any_size else self.size
        return item.whole(size) if self.method.whole_image else item.view(size)

    def perturb(self, views: Sequence[View]) -> list[Callable[[], Perturbation]]:
        """For each view, the call that gives its noise and words.

        What is made for many pictures at once is made here. What is made for a picture alone is made by the call,
        on whatever thread the caller likes.
        """
        if self.method.whole_image:
            return [partial(self._perturb_alone, view) for view in views]
        if not views:
            return []
        pixels = torch.from_numpy(np.stack([view.pixels for view in views]))
        keys, captions = tuple(view.key for view in views), tuple(view.captions for view in views)
        made = self.protect(Batch(keys, to_images(pixels), captions))
        rows = zip(views, made.noise.numpy(), made.words, strict=True)
        return [partial(Perturbation, noise, words, view.size) for view, noise, words in rows]

    def _perturb_alone(self, view: View) -> Perturbation:
        assert view.gray is not None, "all of the picture is seen"
        images, gray = (
            to_images(torch.from_numpy(np.array(view.pixels[None]))),
            torch.from_numpy(view.gray[None].astype(np.float32)),
        )
        made = self.protect(Batch((view.key,), images, (view.captions,), gray))
        return Perturbation(made.noise[0].numpy(), made.words[0], view.size)

    @cached_property
    def hash(self) -> str:
        """Hash of everything that decides what the protector does."""
        return _hash(self._about(), self.fitted)

    def _about(self) -> bytes:
        about = {
            "format": FORMAT,
            "recipe": self.recipe.to_dict(),
            "alphabet": self.fitted.alphabet,
            "facts": self.fitted.facts,
            "size": self.size,
            "pairs": self.pairs,
            "fingerprint": self.fingerprint,
        }
        return json.dumps(about, indent=2).encode()

    def save(self, folder: Path) -> None:
        """Write the artefact as one folder, complete or not at all; what it replaces is another artefact."""
        check_folder(folder)
        part = folder.with_name(folder.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True, mode=0o700)
        (part / TENSORS).write_bytes(save(self.fitted.tensors))
        if self.fitted.noise is not None:
            self.fitted.noise.copy(part / NOISE)
        (part / "hash").write_text(f"{self.hash}\nprotect {__version__}\n")
        (part / ABOUT).write_bytes(self._about())
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(part, folder)

    @classmethod
    def load(cls, folder: Path, device: str = "auto") -> "Protector":
        """Read an artefact; ValueError when it is none, was changed since it was written, or is of an old format.

        The hash is of the bytes as they stand there: settings that came later take their defaults.
        """
        try:
            said = (folder / ABOUT).read_bytes()
            about = json.loads(said)
            check_format(folder, about)
            tensors = load_file(folder / TENSORS)
            written = (folder / "hash").read_text().split()[0]
            pairs, size = about["pairs"], about["size"]
            noise = NoiseStore(folder / NOISE, pairs, size) if (folder / NOISE).exists() else None
            fitted = Fitted(tuple(tuple(words) for words in about["alphabet"]), tensors, about["facts"], noise)
            recipe = Recipe.from_dict(about["recipe"])
            protector = cls(recipe, fitted, size, about["fingerprint"], pairs, device)
            actual = _hash(said, fitted)
        except OldFormat:
            raise
        except (OSError, SafetensorError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise ValueError(
                f"{folder}: expected a protector made by `protect fit`, got: {type(error).__name__}: {error}"
            ) from error
        if actual != written:
            raise ValueError(f"{folder}: expected hash {written[:12]}, got {actual[:12]}; fit it again")
        if protector._about() == said:
            vars(protector)["hash"] = actual  # known now: noise of gigabytes is not read once more
        return protector


def _hash(about: bytes, fitted: Fitted) -> str:
    noise = fitted.noise.digest() if fitted.noise else ""
    return hashlib.sha256(about + save(fitted.tensors) + noise.encode()).hexdigest()


class OldFormat(ValueError):
    """An artefact of a version of the tool that this one does not read."""


def check_format(folder: Path, about: Any) -> None:
    """Raise OldFormat where another version wrote the artefact."""
    if about["format"] != FORMAT:
        method = about["recipe"]["fit"]["method"]
        cure = f"use {REMOVED[method]} and fit it again" if method in REMOVED else "fit it again"
        raise OldFormat(
            f"{folder}: expected a protector of format {FORMAT}, found format {about['format']} "
            f"(method {method}); {cure}"
        )


def check_folder(folder: Path) -> None:
    """Raise ValueError unless a protector can be saved there; worth asking before a long fit."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder}: expected a folder, got a file; choose another one")
    if folder.exists() and not (folder / ABOUT).exists() and any(folder.iterdir()):
        raise ValueError(f"{folder}: expected an empty folder or a protector to replace; choose another one")


def fit(
    window: Window,
    recipe: Recipe,
    report: Callable[[str], None] = lambda line: None,
    device: str = "auto",
    rounds: Path | None = None,
) -> Protector:
    """Phase 1: fit the recipe's method on a window of the data.

    rounds: a folder where a method that trains a surrogate keeps each round. A fit that was killed resumes from it
    and ends with the same bytes; when the protector is saved the folder can go.
    """
    if len(window) < 2:
        raise ValueError(f"fit: expected at least 2 usable pairs (the loss contrasts them), got {len(window)}")
    place, method = choose_device(device), recipe.method
    if not method.needs_surrogate:
        fitted = method.fit(window, recipe, place, report)
    else:
        recipe = settled(recipe, place)
        checkpoint = Checkpoint.of(rounds, recipe, window) if rounds else None
        fitted = method.fit(window, recipe, place, report, checkpoint)
    return Protector(recipe, fitted, window.size, window.fingerprint(), len(window), device)
