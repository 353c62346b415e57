"""What one key of a shard holds, in names that need no tensors."""

from dataclasses import dataclass
from typing import NamedTuple

Words = tuple[str, ...]  # one trigger: one word per position


class Member(NamedTuple):
    """One file inside a shard: its full name in the tar and its bytes."""

    name: str
    data: bytes


@dataclass(frozen=True)
class Sample:
    """What one key of a shard holds, members in tar order; `beside`: captions that stand outside the shard only."""

    key: str
    members: tuple[Member, ...]
    beside: tuple[str, ...] = ()
