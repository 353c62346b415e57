"""Captions that protection never saw: those of the clean files without a counterpart among the published ones."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from protect.verify.countermeasures.base import Captions, Countermeasure, Kind
from protect.verify.reading.differences import planted
from protect.verify.reading.pairs import Pairs


def unseen(clean: Pairs) -> Countermeasure:
    """The row for an attacker who has these captions of the published pictures."""
    own = dict(zip(clean.keys, clean.captions, strict=True))
    return replace(SOME_CAPTIONS, from_clean=None, pairs=partial(with_unseen, own=own))


def with_unseen(pairs: Pairs, own: Mapping[str, Captions]) -> Pairs:
    """The pairs with clean captions that no published caption holds, where fewer were published than there are.

    Pairs without one are dropped. Raises ValueError when there are none at all.
    """
    others = [_others(own.get(key, ()), lines) for key, lines in zip(pairs.keys, pairs.captions, strict=True)]
    if not any(others):
        raise ValueError(
            "expected clean files with more captions a picture than were published, found none; publish some of "
            "the captions to know what the others teach"
        )
    return pairs.recaptioned(others)


def _others(clean: Captions, published: Captions) -> Captions:
    if len(clean) <= len(published):
        return ()
    return tuple(line for line in clean if all(planted(line, other) is None for other in published))


SOME_CAPTIONS = Countermeasure(
    "some-captions",
    Kind.TEXT,
    "published pictures with other captions of theirs, which were not published (sets with several captions)",
    "has other captions of the pictures",
    from_clean=unseen,
    amount=True,
    strong=True,
)
ROWS = (SOME_CAPTIONS,)
