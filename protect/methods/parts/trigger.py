"""Trigger words: drawing them, and writing them into token rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Int
from torch import Tensor

from protect.clip.models import DualEncoder
from protect.samples import Words
from protect.seeds import derive
from protect.types import Tokens

Choice = Int[Tensor, "batch position"]  # symbol chosen at each position


def draw_choice(keys: Sequence[str], alphabet: tuple[Words, ...], seed: int) -> Choice:
    """The words an image starts with: drawn from its key alone, so that they do not depend on its neighbours."""
    draws = [[derive(seed, "word", p, key) % len(words) for p, words in enumerate(alphabet)] for key in keys]
    return torch.tensor(draws, dtype=torch.long).view(len(keys), len(alphabet))


def words_of(alphabet: tuple[Words, ...], choice: Choice) -> tuple[Words, ...]:
    """The trigger of each row as words."""
    return tuple(tuple(words[s] for words, s in zip(alphabet, row, strict=True)) for row in choice.tolist())


@dataclass(frozen=True)
class Lexicon:
    """The words to choose from at each position, as a surrogate's tokenizer sees them.

    Raises ValueError for a word that is not a single token.
    """

    surrogate: DualEncoder
    alphabet: tuple[Words, ...]
    style: str = "prefix"

    @cached_property
    def ids(self) -> Int[Tensor, "position symbol"]:
        return torch.tensor(self._known)

    @cached_property
    def _known(self) -> list[list[int]]:
        return [[self._id(word) for word in words] for words in self.alphabet]

    def _id(self, word: str) -> int:
        ids = self.surrogate.encode(word)
        if len(ids) != 1:
            raise ValueError(f"trigger word {word!r}: expected one token under {self.surrogate.name}, got {len(ids)}")
        return ids[0]

    def rows(
        self, captions: Sequence[tuple[int, ...]], choice: Choice
    ) -> tuple[Tokens, Int[Tensor, "batch position"]]:
        """Token rows of captions with their triggers written in, and where each trigger word stands.

        The same ids that the tokenizer makes of the written text; a caption is cut, never its trigger.
        """
        hashtag = self.surrogate.encode("#") if self.style == "hashtags" else ()
        width = (1 + len(hashtag)) * choice.shape[1]
        room = self.surrogate.context - 2 - width
        if room < 0:
            raise ValueError(f"trigger: expected at most {room + width} tokens, got {width}; lower trigger_words")
        pieces, offsets, known = [], [], self._known
        for caption, symbols in zip(captions, choice.tolist(), strict=True):
            ids = [i for p, s in enumerate(symbols) for i in (*hashtag, known[p][s])]
            caption = caption[:room]
            pieces.append((*ids, *caption) if self.style == "prefix" else (*caption, *ids))
            offsets.append(0 if self.style == "prefix" else len(caption))
        rows = self.surrogate.rows(pieces)
        start = int(self.surrogate.start_token is not None)
        steps = start + len(hashtag) + torch.arange(choice.shape[1]) * (1 + len(hashtag))
        return rows, (torch.tensor(offsets)[:, None] + steps).to(rows.device)
