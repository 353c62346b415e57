"""Captions written anew: other captions for the same pictures, from a captioning model or from people."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from protect.verify.countermeasures.base import Captions, Countermeasure, Kind
from protect.verify.reading.pairs import Pairs
from protect.verify.reading.scrape import scrape


def recaption(source: str) -> Countermeasure:
    """The row for shards or a folder with other captions by key (pictures in it are not looked at).

    Raises ValueError when there is no caption in it.
    """
    captions = defaultdict[str, Captions](tuple)
    for find in scrape([source]):
        if find is not None:
            captions[find.key] += find.captions
    if not any(captions.values()):
        raise ValueError(f"recaptions {source}: expected captions for the keys of the published pairs, found none")
    return replace(RECAPTIONED, setting=None, pairs=partial(with_captions, captions=dict(captions)))


def with_captions(pairs: Pairs, captions: Mapping[str, Captions]) -> Pairs:
    """The pairs with those captions instead of their own; pairs without one are dropped."""
    return pairs.recaptioned([captions.get(key, ()) for key in pairs.keys])


RECAPTIONED = Countermeasure(
    "recaptioned",
    Kind.TEXT,
    "published pictures with the captions of --recaptions",
    "writes new captions for the pictures",
    setting="recaptions",
    from_setting=recaption,
    amount=True,
    strong=True,
)
ROWS = (RECAPTIONED,)
