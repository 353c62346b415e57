"""The test pairs of a comparison: a source of their own, or clean pairs that are held out of every arm."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from protect.seeds import derive
from protect.verify.reading.pairs import Edit, JudgedPairs, read_judged
from protect.verify.reading.scrape import scrape
from protect.verify.records import TEST

HELD_OUT = 10  # without a test set, about one key in this many is held out of every row


def is_held_out(key: str) -> bool:
    """Whether a key belongs to the test when there is no test set; the same on every run and machine."""
    return derive(0, TEST, key) % HELD_OUT == 0


@dataclass(frozen=True)
class HeldOut:
    """Where the test pairs are: all of a source, or those of the clean pairs that are held out.

    limit: of training pairs (None: all), which bounds the held out ones. repeated: keys that are left out of the
    test, as their picture is also trained on.
    """

    source: str
    from_clean: bool
    limit: int | None
    repeated: frozenset[str] = frozenset()

    def read(self, size: int, edit: Edit | None = None) -> JudgedPairs:
        """The pairs at a size; `edit` is applied to each decoded picture first."""
        if not self.from_clean:
            return read_judged([self.source], size, keep=self._is_asked, edit=edit)
        try:
            few = None if self.limit is None else ceil(self.limit / (HELD_OUT - 1))
            return read_judged([self.source], size, few, self._is_asked, edit)
        except ValueError as error:
            raise ValueError(
                f"test: expected about a tenth of the clean pairs to hold out, got none ({error}); name test pairs"
            ) from error

    def _is_asked(self, key: str) -> bool:
        return key not in self.repeated and (not self.from_clean or is_held_out(key))


def find_held_out(clean: str, test: str | None, limit: int | None) -> HeldOut:
    """The test pairs, without those whose picture is, byte for byte, that of a clean pair that is trained on."""
    held_out, trained, asked = test is None, set[str](), dict[str, str]()
    for key, picture in _pictures(clean):
        if held_out and is_held_out(key):
            asked[key] = picture
        else:
            trained.add(picture)
    asked = asked if test is None else dict(_pictures(test))
    repeated = frozenset(key for key, known in asked.items() if known in trained)
    if asked and len(repeated) == len(asked):
        raise ValueError(
            f"test: expected pictures that no arm trains on, got {len(asked)} that are all in {clean}; name others"
        )
    return HeldOut(clean if test is None else test, held_out, limit, repeated)


def _pictures(source: str) -> Iterator[tuple[str, str]]:
    """Key and SHA-256 of every picture file."""
    for find in scrape([source]):
        if find is not None and find.picture:
            yield find.key, hashlib.sha256(find.picture).hexdigest()
