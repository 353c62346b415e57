"""Where the files of a run lie below OUT."""

from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from protect.data.shard_list import shard_stem
from protect.data.storage import Place, Remote
from protect.files import HOME

PRIVATE = f"{HOME}/private"
JOB = "job.json"  # among the private files: what a run of shards is
DONE, FAILED = ".done.json", ".failed.json"  # ends of what is written there for a shard, in place of .tar
Kind = TypeVar("Kind", Path, Remote)


@dataclass(frozen=True)
class ShardFiles(Generic[Kind]):
    """The files of one shard; `name`: its place below OUT, with forward slashes."""

    out: Kind
    name: str

    @property
    def target(self) -> Kind:
        return self.out / self.name

    @property
    def stats(self) -> Kind:
        return self._named("_stats.json")

    @property
    def parquet(self) -> Kind:
        return self._named(".parquet")

    @property
    def records(self) -> Kind:
        """Words and clean captions by key."""
        return self._private(".jsonl")

    @property
    def marker(self) -> Kind:
        """In object storage: says that a shard is done, from which input and by what."""
        return self._private(DONE)

    @property
    def failure(self) -> Kind:
        """Why nothing of the shard was written; goes when it is protected after all."""
        return self._private(FAILED)

    def make_folders(self) -> None:
        """The folders of a local OUT that these files lie in; private ones are closed to others."""
        assert isinstance(self.out, Path), "only a local OUT has folders"
        (self.out / HOME).mkdir(parents=True, exist_ok=True)
        self.target.parent.mkdir(parents=True, exist_ok=True)
        (self.out / PRIVATE).mkdir(mode=0o700, exist_ok=True)
        self.records.parent.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _named(self, end: str) -> Kind:
        return self.target.with_name(f"{shard_stem(self.target)}{end}")

    def _private(self, end: str) -> Kind:
        return (self.out / PRIVATE / self.name).with_name(f"{shard_stem(self.target)}{end}")


def files_of(out: Place, name: str) -> ShardFiles[Path] | ShardFiles[Remote]:
    """The files of a shard below any OUT."""
    if isinstance(out, Path):
        return ShardFiles(out, name)
    return ShardFiles(out, name)  # once more, since a type checker takes one kind at a time
