"""The words a trigger may be made of: a vetted list, and alphabets drawn from it by seed; no torch."""

import hashlib
from functools import cache
from importlib.resources import files


@cache
def vetted_words() -> tuple[str, ...]:
    """Every word that may be written into a caption, sorted (how they were chosen: words/LICENSE.txt)."""
    return tuple((files("protect.methods.parts") / "words" / "words.txt").read_text("ascii").split())


def draw_alphabet(positions: int, symbols: int | None, seed: int) -> tuple[tuple[str, ...], ...]:
    """The words to choose from at each position of a trigger, `symbols` a position, no word at two positions.

    symbols=None is the whole list at every position. A hash orders the words, so that a seed gives the same
    alphabet on every Python version. Raises ValueError when the list is too short.
    """
    words = vetted_words()
    if symbols is None:
        return (words,) * positions
    if positions * symbols > len(words):
        raise ValueError(
            f"alphabet: expected at most {len(words)} words, got {positions} positions x {symbols} words = "
            f"{positions * symbols}; lower either, or use none for the whole list at every position"
        )
    order = sorted(words, key=lambda word: hashlib.sha256(f"{seed}:{word}".encode()).digest())
    return tuple(tuple(order[place * symbols : (place + 1) * symbols]) for place in range(positions))
