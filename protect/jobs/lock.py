"""Two runs at the same shards on the same disk would write the same files at once: the second is refused."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from protect.data.storage import Place
from protect.files import PlanError


@contextmanager
def only_one(private: Place, share: str | None) -> Iterator[None]:
    """Holds OUT, or the named share of it (a part, a rank), while the block runs; a killed process holds nothing.

    Raises PlanError where another process holds the same. In object storage nothing is held: there two runs write
    the same bytes, each file as a whole, and the first marker wins.
    """
    with ExitStack() as stack:
        if isinstance(private, Path):
            _hold(private, private.parent.parent, fcntl.LOCK_EX if share is None else fcntl.LOCK_SH, stack)
            if share is not None:
                folder = private / "shares" / share.replace("/", "-of-").replace(" ", "-")
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                _hold(folder, private.parent.parent, fcntl.LOCK_EX, stack, f" part {share} of")
        yield


def _hold(folder: Path, out: Path, kind: int, stack: ExitStack, what: str = "") -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    stack.callback(os.close, descriptor)
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        raise PlanError(
            f"OUT: expected one run at a time, found another that writes{what} {out} now; wait for it or end it"
        ) from None
    except OSError:  # a network disk that knows no locks
        return
