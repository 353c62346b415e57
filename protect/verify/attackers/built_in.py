"""Attackers that the verifier builds itself, beside those of open_clip and of Hugging Face folders."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch

from protect.clip.models import DualEncoder
from protect.data.optional import missing
from protect.verify.attackers import tiny_hf
from protect.verify.attackers.correlation import fit_correlation
from protect.verify.attackers.judging import Rows, View
from protect.verify.attackers.pretrained import PACKAGES, SIZE, finetuned, locked_image, low_rank_towers
from protect.verify.countermeasures.base import Regime
from protect.verify.reading.pairs import Pairs

GENTLE = 0.1  # of the usual learning rate: more would wash out what pretrained towers know


@dataclass(frozen=True)
class BuiltIn:
    """size: of the pictures it takes, unless asked otherwise. build: from training captions, device and size.

    fit: learns from the pairs in one pass, in place of training by steps; None for those that train. packages: what
    it needs of the extra `pretrained`. rate: times the learning rate of the others.
    """

    size: int
    build: Callable[[Sequence[str], torch.device, int | None], DualEncoder]
    fit: Callable[[Any, Pairs, Rows, View], None] | None = None
    packages: tuple[str, ...] = ()
    rate: float = 1.0

    def check(self) -> None:
        """Raises ImportError when a package of the extra `pretrained` is missing."""
        if not all(map(find_spec, self.packages)):
            raise missing("pretrained attackers", "pretrained")


BUILT_IN: dict[str, BuiltIn] = {
    tiny_hf.NAME: BuiltIn(tiny_hf.SIZE, tiny_hf.tiny_hf),
    "pretrained-lit": BuiltIn(SIZE, locked_image, packages=PACKAGES),
    "pretrained-lora": BuiltIn(SIZE, low_rank_towers, packages=(*PACKAGES, "peft")),
    "pretrained-finetune": BuiltIn(SIZE, finetuned, packages=PACKAGES, rate=GENTLE),
    "pretrained-frozen": BuiltIn(SIZE, locked_image, fit_correlation, PACKAGES),
}


def is_fitted(name: str) -> bool:
    """Whether an attacker is fitted in one pass instead of trained by steps."""
    return name in BUILT_IN and BUILT_IN[name].fit is not None


def learns_from(name: str, regime: Regime) -> bool:
    """Whether a regime changes anything for an attacker: those that are fitted once have no batches and epochs."""
    return not is_fitted(name) or (regime.defence, regime.times, regime.batch) == (None, 1, None)
