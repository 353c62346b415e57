"""Texts that go with no picture (README, an index of the shard): whether they repeat captions of its samples."""

import re
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from protect.data.beside import samples_of
from protect.data.captions import CaptionError, captions_of
from protect.data.json_text import holds_json
from protect.data.shards import ShardError, image_member
from protect.data.text import bare, is_text, read_text
from protect.samples import Sample
from protect.settings.publish import PublishSettings

WORDS, LETTERS = 3, 16  # of a caption: what is shorter in both is as well a label
BETWEEN = re.compile(r'[\r\n\t,;|<>"]+')


class ShardCaptions:
    """The captions of all samples of a shard; they are read when the first text asks that goes with no picture."""

    def __init__(self, shard: Path, settings: PublishSettings) -> None:
        self.shard, self.settings = shard, settings

    @cached_property
    def _known(self) -> frozenset[str]:
        known: set[str] = set()
        with suppress(ShardError):  # reading the shard tells of that
            for sample in samples_of(self.shard, self.settings):
                if image_member(sample) is not None:
                    with suppress(CaptionError):  # the sample fails on its own, by name
                        known.update(map(bare, captions_of(sample, self.settings.caption_keys)))
        return frozenset(text for text in known if len(text.split()) >= WORDS or len(text) >= LETTERS)

    def repeated_in(self, sample: Sample) -> tuple[str, ...]:
        """Names of the members of a sample without a picture in which captions of others stand."""
        if image_member(sample) is not None:
            return ()
        texts = ((member.name, read_text(member.data).text) for member in sample.members if is_text(member.data))
        return tuple(name for name, text in texts if any(bare(piece) in self._known for piece in _pieces(text)))


def _pieces(text: str) -> Iterator[str]:
    """Lines, cells and values of a text, each of which may be a caption."""
    found = holds_json(text)
    if found is not None:
        yield from _strings(found)
        return
    yield from text.splitlines()
    yield from BETWEEN.split(text)
    yield from (line.partition(sign)[2] for line in text.splitlines() for sign in ",:\t")


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from value.splitlines()
    elif isinstance(value, dict):
        yield from value
        yield from (text for inner in value.values() for text in _strings(inner))
    elif isinstance(value, list):
        yield from (text for inner in value for text in _strings(inner))
