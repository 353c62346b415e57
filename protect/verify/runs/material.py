"""What rows are made from: the clean and the published pairs at one size."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from protect.seeds import derive
from protect.verify.reading.differences import Differences, differences
from protect.verify.reading.pairs import Pairs
from protect.verify.reading.test_set import HeldOut


@dataclass(frozen=True)
class Material:
    """Clean and published pairs, pictures near `size`, and where they were read.

    sources: clean, protected and further arms, as for `scrape`. folder: where rows may put their pictures.
    held_out: the test pairs, read anew by rows that transform them.
    """

    size: int
    clean: Pairs
    protected: Pairs
    sources: dict[str, str]
    folder: Path = field(compare=False)
    held_out: HeldOut | None = None

    @cached_property
    def differences(self) -> Differences:
        return differences(self.clean, self.protected)

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Number of each key's clean pair."""
        return {key: i for i, key in enumerate(self.clean.keys)}

    def path(self, row: str) -> Path:
        """A file for a row's pictures."""
        return self.folder / f"{derive(self.size, row):x}.pixels"
