"""Which of two equally protected twins of a picture is published: a private coin for each picture decides.

A model that never saw the published files cannot know the coins. So whatever it thinks of the twins, it takes the
published one for the better known one with probability 1/2, independently for each picture. Every test that stands on
this has exactly the false-alarm rate it promises (the framework of data-use auditing: arXiv 2407.15100, 2503.22413).
"""

import hashlib
import hmac
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from protect.data.prepared import View
from protect.files import write_whole
from protect.methods.protector import Perturbation, Protector
from protect.samples import Words
from protect.seeds import derive

SECRET = "coins.key"
BYTES = 32


@dataclass(frozen=True)
class Coins:
    """The coins of a receipt, all drawn from one secret; `share` of the pictures have a twin at all."""

    secret: bytes
    share: float = 1.0

    def has_twin(self, key: str) -> bool:
        return self._draw("twin", key) < self.share * 2**64

    def published(self, key: str) -> int:
        """Which twin of a picture is published: 0 or 1."""
        return self._draw("coin", key) & 1

    def _draw(self, *names: str) -> int:
        digest = hmac.digest(self.secret, "\x1f".join(names).encode("utf-8", "surrogateescape"), "sha256")
        return int.from_bytes(digest[:8], "big")

    @property
    def fingerprint(self) -> str:
        """Tells two receipts apart and gives nothing away."""
        return hashlib.sha256(b"receipt" + self.secret + repr(self.share).encode()).hexdigest()


def own_coins(receipt: Path, share: float) -> Coins:
    """The coins of a receipt folder; drawn by the system at the first call, as they must never be drawn again.

    Raises ValueError where the file there is no secret.
    """
    path = receipt / SECRET
    if not path.exists():
        receipt.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(path, os.urandom(BYTES).hex().encode() + b"\n", mode=0o600)
    try:
        return Coins(bytes.fromhex(path.read_text().strip()), share)
    except ValueError:
        raise ValueError(f"{path}: expected {2 * BYTES} hexadecimal digits; put the file back") from None


@dataclass(frozen=True)
class TwinProtector(Protector):
    """A protector that makes the published twin of each picture, or with `held_back` the other one.

    Twins differ as two pictures do: in what the method draws from a picture's key, and in the order of the words.
    """

    coins: Coins = Coins(b"")
    held_back: bool = False

    @classmethod
    def of(cls, protector: Protector, coins: Coins) -> "TwinProtector":
        known = {f.name: getattr(protector, f.name) for f in fields(Protector)}
        return cls(**known, coins=coins)

    def other(self) -> "TwinProtector":
        """The one that makes what is kept back."""
        return replace(self, held_back=not self.held_back)

    @property
    def hash(self) -> str:  # type: ignore[override]
        return hashlib.sha256((super().hash + self.coins.fingerprint).encode()).hexdigest()

    def perturb(self, views: Sequence[View]) -> list[Callable[[], Perturbation]]:
        twins = [self._twin(view) for view in views]
        keyed = zip(views, twins, strict=True)
        made = super().perturb([view if twin is None else replace(view, key=twin) for view, twin in keyed])
        return [call if twin is None else _reordered(call, twin) for call, twin in zip(made, twins, strict=True)]

    def _twin(self, view: View) -> str | None:
        """The key of the twin that is made; None for a picture that has none."""
        if not self.coins.has_twin(view.key):
            return None
        return twin_key(view.key, self.coins.published(view.key) ^ self.held_back)


def twin_key(key: str, which: int) -> str:
    return f"{key}\x1ftwin {which}"


def _reordered(call: Callable[[], Perturbation], key: str) -> Callable[[], Perturbation]:
    def perturb() -> Perturbation:
        made = call()
        return made._replace(words=in_order(made.words, key))

    return perturb


def in_order(words: Words, key: str) -> Words:
    """The words in an order that the key draws: they say the same in any."""
    return tuple(sorted(words, key=lambda word: derive(0, "order", key, word)))
