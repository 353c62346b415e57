"""What a fit has reached after each round, on disk: a fit that was killed goes on and ends with the same bytes."""

import hashlib
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from protect.data.noise_store import NoiseStore
from protect.data.window import Window
from protect.files import write_whole

STATE = "state.pt"
ROWS = 256  # of noise read back at a time


@dataclass(frozen=True)
class Checkpoint:
    """The folder of one fit. mark: a hash of all that the fit depends on, so that no other fit goes on from it.

    A round counts once its state file is renamed into place; the noise it names was complete before that.
    """

    folder: Path
    mark: str

    @classmethod
    def of(cls, folder: Path, recipe: object, window: Window) -> "Checkpoint":
        """That of a recipe on a window."""
        return cls(folder, hashlib.sha256(f"{recipe!r}\0{window.fingerprint()}".encode()).hexdigest())

    def save(self, done: int, state: dict[str, Any], noise: NoiseStore) -> None:
        """Keeps what a fit has reached after `done` rounds, and removes what it had before."""
        self.folder.mkdir(parents=True, exist_ok=True)
        name = f"noise-{done}.int8"
        part = self.folder / f"{name}.part"
        noise.copy(part)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(part, self.folder / name)
        buffer = io.BytesIO()
        torch.save({"mark": self.mark, "done": done, "noise": name, "state": state}, buffer)
        write_whole(self.folder / STATE, buffer.getvalue(), 0o600)
        for old in self.folder.glob("noise-*"):
            if old.name != name:
                old.unlink()

    def load(self, window: Window) -> tuple[int, dict[str, Any]]:
        """Rounds done and the state after them, the noise put back into the window; 0 rounds where there is none.

        Raises ValueError for what another recipe or other data left there.
        """
        path = self.folder / STATE
        if not path.exists():
            return 0, {}
        try:
            kept = torch.load(path, map_location="cpu", weights_only=True)
            same = kept["mark"] == self.mark
        except Exception as error:  # torch reads damaged files with errors of many kinds
            raise ValueError(
                f"{path}: expected the checkpoint of a fit, got {type(error).__name__}; remove it"
            ) from error
        if not same:
            raise ValueError(
                f"{self.folder}: expected a checkpoint of this recipe and data, found another's; remove it"
            )
        store = NoiseStore(self.folder / kept["noise"], len(window), window.size)
        for rows in torch.arange(len(window)).split(ROWS):
            window.store_noise(rows, store.read(rows))
        return kept["done"], kept["state"]

    def clear(self) -> None:
        """Removes the files of a fit that is complete."""
        for path in (self.folder / STATE, *self.folder.glob("noise-*")):
            path.unlink(missing_ok=True)
        if self.folder.exists() and not any(self.folder.iterdir()):
            self.folder.rmdir()
