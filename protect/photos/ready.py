"""A protector that is there at once: nothing is fitted, the user's key deals gratings to words."""

import os
from pathlib import Path

from protect.files import write_whole
from protect.methods import content
from protect.protector import Protector
from protect.settings import FitSettings, NoiseSettings, Recipe, TriggerSettings

SIZE = 224  # what most CLIPs see a photo at
EPSILON = 8.0
KEY = "key"
KEY_BYTES = 16


def ready_protector(key: int, words: int = 0) -> Protector:
    """The protector of a key that plants so many words in a caption; the same key, the same protector."""
    recipe = Recipe(
        FitSettings(method="content", size=SIZE, seed=key, window=1),
        TriggerSettings(trigger_words=words),
        NoiseSettings(epsilon=EPSILON),
    )
    return Protector(recipe, content.draw(recipe), SIZE, fingerprint="", pairs=0)


def own_key(private: Path) -> int:
    """The user's key: drawn by the system at the first call and kept in the folder `private`.

    Raises ValueError when the file there is no key.
    """
    path = private / KEY
    if not path.exists():
        write_whole(path, os.urandom(KEY_BYTES).hex().encode() + b"\n", mode=0o600)
    text = path.read_text(errors="replace").strip()
    try:
        return int(text, 16)
    except ValueError:
        raise ValueError(
            f"{path}: expected {2 * KEY_BYTES} hexadecimal digits, found {text[:20]!r}; put the key back, "
            "or use --seed"
        ) from None
