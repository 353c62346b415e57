"""How long the rounds of a fit may take in all."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class TimeLimit:
    """Minutes for all rounds (None: no limit), and the seconds that rounds have taken: in all, and the longest."""

    minutes: float | None
    spent: float = 0.0
    longest: float = 0.0

    def allows(self) -> bool:
        """Whether one more round as long as the longest would end in time; the first one always may."""
        return self.minutes is None or self.spent + self.longest <= 60 * self.minutes

    @contextmanager
    def round(self) -> Iterator[None]:
        """Counts the time of what is done inside."""
        begin = time.monotonic()
        yield
        seconds = time.monotonic() - begin
        self.spent, self.longest = self.spent + seconds, max(self.longest, seconds)


def rounds_within(minutes: float | None, seconds: float, rounds: int) -> int:
    """How many of the rounds, each of so many seconds, `TimeLimit` lets a fit take."""
    return rounds if minutes is None else min(rounds, max(1, int(60 * minutes / seconds)))
