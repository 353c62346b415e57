"""The next remote shard, fetched while this one is in work.

A shard is read more than once (its headers, the texts beside its pictures, its samples), so it is fetched as a whole
and not streamed. Fetching it ahead hides what that costs.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

from protect.data.scratch import fetch, fetch_beside
from protect.data.shard_list import ShardError, shard_stem
from protect.data.storage import Remote
from protect.jobs.layout import files_of
from protect.jobs.reference import ShardReference

Fetched = tuple[Path, str]  # a local copy, and the SHA-256 of the shard


class Ahead:
    """What a process that protects shard after shard has at hand of them."""

    def __init__(self) -> None:
        self._following: ShardReference | None = None
        self._coming: _Copy | None = None

    def expect(self, current: ShardReference, following: ShardReference | None) -> None:
        """To be told before `current` is begun: which shard this process is likely to be given next."""
        self._following = following
        if self._coming and self._coming.source not in (current.source, following and following.source):
            self.close()

    @contextmanager
    def fetched(self, source: Remote) -> Iterator[Fetched]:
        """A copy of a remote shard, with the parquet beside it; from then on the next one is fetched.

        Raises ShardError where there is no such shard, and Transient.
        """
        if self._coming and self._coming.source == source:
            copy, self._coming = self._coming, None
        else:
            copy = _Copy(source)
        try:
            found = copy.found()
            self._fetch_following()
            yield found
        finally:
            copy.remove()

    def close(self) -> None:
        """Removes what was fetched and is not wanted any more."""
        if self._coming:
            self._coming.remove()
            self._coming = None

    def _fetch_following(self) -> None:
        following, self._following = self._following, None
        if following and isinstance(following.source, Remote) and not self._coming:
            self._coming = _Copy(following.source)
            self._coming.begin(following)


class _Copy:
    """A shard on its way into a folder of its own."""

    def __init__(self, source: Remote) -> None:
        self.source = source
        self._folder = tempfile.TemporaryDirectory(prefix="protect-", ignore_cleanup_errors=True)
        self._found: Fetched | None = None
        self._thread: Thread | None = None

    def begin(self, reference: ShardReference) -> None:
        """Fetches it in the background; what goes wrong there shows when it is asked for and fetched again."""

        def work() -> None:
            with suppress(Exception):
                files = files_of(reference.out, reference.name)
                if not (files.marker if isinstance(reference.out, Remote) else files.stats).exists():
                    self._found = self._fetch()  # else it seems to be done

        self._thread = Thread(target=work, daemon=True)
        self._thread.start()

    def found(self) -> Fetched:
        """Waits for it."""
        if self._thread:
            self._thread.join()
        self._found = self._found or self._fetch()
        return self._found

    def remove(self) -> None:
        self._folder.cleanup()

    def _fetch(self) -> Fetched:
        folder = Path(self._folder.name)
        shard = folder / self.source.name
        try:
            digest = fetch(self.source, shard)
        except FileNotFoundError as error:
            raise ShardError(
                f"{self.source}: expected a shard, found none; it was there when the run began"
            ) from error
        fetch_beside(self.source, [f"{shard_stem(self.source)}.parquet"], folder)
        return shard, digest
