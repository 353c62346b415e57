"""One shard, tried again where storage fails, with a word on its pictures now and then."""

import time
from collections.abc import Callable

from protect.data.storage_errors import Transient
from protect.jobs.ahead import Ahead
from protect.jobs.executors import Work
from protect.jobs.reference import ShardReference, ShardReport
from protect.jobs.task import failed, protect_shard

TOLD = 0.5  # seconds between two words on the pictures of a shard
WAIT = 1.0  # seconds before a shard is tried again, times the tries before


def patiently(
    reference: ShardReference, work: Work, tick: Callable[[], None], ahead: Ahead | None = None
) -> ShardReport:
    """Protects a shard; where storage fails, again, as often as the work allows."""
    begin = time.time()
    for attempt in range(1, work.how.tries + 1):
        try:
            return protect_shard(reference, work.protector, work.settings, tick, ahead)
        except Transient as error:
            if attempt == work.how.tries:
                return given_up(reference, work, attempt, str(error), time.time() - begin)
            time.sleep(WAIT * attempt)
    raise AssertionError("there is at least one try")


def given_up(reference: ShardReference, work: Work, tries: int, reason: str, seconds: float) -> ShardReport:
    """The report of a shard that failed at its last try."""
    name = reference.name
    return failed(name, f"{name}: tried {tries} times: {reason}", work.settings, seconds)


def ticker(name: str, tell: Callable[[str, int], None]) -> Callable[[], None]:
    """What is called after every picture of a shard and tells of their number now and then."""
    state = [0, time.monotonic()]

    def tick() -> None:
        state[0] += 1
        if (now := time.monotonic()) - state[1] >= TOLD:
            state[1] = now
            tell(name, int(state[0]))

    return tick
