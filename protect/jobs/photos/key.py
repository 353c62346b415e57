"""A protector that needs no fit: it is made from the user's key alone."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from protect.files import write_whole
from protect.methods import method_of
from protect.methods.parts.keywords import Vocabulary
from protect.methods.protector import Protector
from protect.methods.recipe import Recipe
from protect.settings.recipe import USUAL_SIZE, FitSettings, NoiseSettings, TriggerSettings

METHOD = "instant"  # for photos there is no set to fit on
SIZE = USUAL_SIZE
EPSILON = 8.0
KEY = "key"
KEY_BYTES = 16
WORDS = "words.json"


def key_protector(key: int, words: int | None = None, vocabulary: Vocabulary | None = None) -> Protector:
    """The protector of a key that plants so many words in a caption (None: the method's own number).

    `vocabulary` is how often the captions have each word. Without it every word counts as one that tells photos
    apart, and a place name that stands in all captions takes a sub-band that another word could use.
    """
    recipe = Recipe(
        FitSettings(method=METHOD, size=SIZE, seed=key, window=1),
        TriggerSettings(trigger_words=words),
        NoiseSettings(epsilon=EPSILON),
    )
    make = method_of(METHOD).from_key
    assert make is not None
    return Protector(recipe, make(recipe, vocabulary), SIZE, fingerprint="", pairs=0)


def own_key(private: Path) -> int:
    """The user's key: drawn by the system at the first call and stored in the folder `private`.

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


def own_words(private: Path, count: Callable[[], Vocabulary], dry: bool = False) -> Vocabulary:
    """The words of the user's captions: counted when there are enough of them, and stored in the folder `private`.

    From then on they are never counted anew, since the noise of photos that are done depends on them: later photos
    change no byte of those. Raises ValueError when the file there is no such list.
    """
    path = private / WORDS
    stored = _read_words(path) if path.exists() else None
    if stored is not None and stored.pictures:
        return stored
    vocabulary = count()
    if vocabulary.pictures and not dry:
        write_whole(path, json.dumps(asdict(vocabulary), sort_keys=True).encode(), mode=0o600)
    return vocabulary


def _read_words(path: Path) -> Vocabulary:
    try:
        stored = json.loads(path.read_bytes())
        return Vocabulary(int(stored["pictures"]), {str(word): int(n) for word, n in stored["count"].items()})
    except (ValueError, LookupError, TypeError, AttributeError):
        raise ValueError(f"{path}: expected the words this tool has counted; put the file back") from None
