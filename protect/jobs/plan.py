"""What a run would do: its shards, its output folder, and every reason to refuse before anything is written."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from protect.data.captions import Undecided
from protect.data.shard_list import ShardError, name_shards, packed_beside
from protect.data.shards import TruncatedShard, read_samples
from protect.data.storage import Place, Remote, check_bucket, place, refuse_unknown, size_of
from protect.files import HOME, PlanError, refuse_address
from protect.jobs.layout import JOB, PRIVATE, ShardFiles, files_of
from protect.jobs.look import Looks
from protect.settings.publish import PublishSettings

MOST_LOOKS = 32  # remote shards that are looked at before a run


@dataclass(frozen=True)
class Plan:
    """The shards of a run, its output folder, the settings that decide what is written, and a look at each shard."""

    shards: tuple[Place, ...]
    out: Place
    publish: PublishSettings
    looks: Looks = field(default_factory=Looks, compare=False, repr=False)
    names: Mapping[Place, str] = field(default_factory=dict)  # places below OUT, where they are not the shards' names
    unread: tuple[str, ...] = ()  # archives beside the shards that are packed in a way that is not read

    @property
    def home(self) -> Place:
        return self.out / HOME

    @property
    def private(self) -> Place:
        """What must never be published: words by key, clean captions, the protector."""
        return self.out / PRIVATE

    def name(self, shard: Place) -> str:
        """Where a shard lies below OUT, with forward slashes."""
        return self.names.get(shard, shard.name)

    def files(self, shard: Place) -> ShardFiles[Path] | ShardFiles[Remote]:
        """The files that are written for a shard."""
        return files_of(self.out, self.name(shard))

    def make_folders(self) -> None:
        """OUT with the folders that its shards have in the input; object storage has no folders."""
        if isinstance(self.out, Path):
            for shard in self.shards:
                ShardFiles(self.out, self.name(shard)).make_folders()

    def identity(self, protector: str) -> str:
        """Hash of everything that decides the bytes written; a resumed run must have the same."""
        shards = [(self.name(shard), size_of(shard)) for shard in self.shards]
        text = json.dumps([protector, asdict(self.publish), shards], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def make_plan(sources: Sequence[str], out: str | Path, publish: PublishSettings, force: bool = False) -> Plan:
    """Checks everything that can be checked before the first byte is written.

    Raises PlanError or ShardError: no shards, OUT is IN or lies inside it, OUT holds other things, the input is
    protected already (unless `force`), or it has links to the originals and nothing said what to do with them.
    """
    refuse_unknown("OUT", str(out))
    target = place(out)
    names = name_shards(sources)
    shards = tuple(names)
    plan = Plan(shards, target, publish, Looks(len(shards), publish), names, packed_beside(sources))
    _check_places(shards, target, [place(source) for source in sources])
    some = _some(shards)
    _check_open(some)
    if not force:
        _check_clean(plan, some)
    if not (publish.urls and publish.others):
        for shard in some:
            check_decided(shard, plan.looks[shard].undecided, publish)
    return plan


def _some(shards: Sequence[Place]) -> list[Place]:
    """The shards that are looked at before a run: all local ones, a spread of remote ones, each of which costs time.

    What only another shard shows is refused when its turn comes.
    """
    remote = [shard for shard in shards if isinstance(shard, Remote)]
    step = max(1, len(remote) // MOST_LOOKS)
    return [*(shard for shard in shards if isinstance(shard, Path)), *remote[::step][:MOST_LOOKS]]


def _check_open(shards: Sequence[Place]) -> None:
    """Raises ShardError when no shard can be opened at all; where some can, the others fail on their own."""
    first: ShardError | None = None
    for shard in shards:
        try:
            next(read_samples(shard), None)
            return
        except TruncatedShard:
            return
        except ShardError as error:
            first = first or error
    if first is not None:
        raise first


def _check_places(shards: Sequence[Place], out: Place, sources: Sequence[Place]) -> None:
    inputs = {_resolved(shard.parent) for shard in shards}
    inputs |= {_resolved(shard).parent for shard in shards}  # where links lead
    inputs |= {_resolved(source) for source in sources if isinstance(source, Remote) or source.is_dir()}
    target = _resolved(out)
    for folder in inputs:
        if _is_within(target, folder):
            raise PlanError(f"OUT: expected a folder outside the input, got {out} in {folder}; choose another OUT")
    if isinstance(out, Remote):
        _check_remote_out(out)
        return
    _check_local_out(out)


def _check_local_out(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise PlanError(f"OUT: expected a folder, got the file {out}; choose another OUT")
    if out.exists() and any(out.iterdir()) and not (out / HOME).is_dir():
        raise PlanError(f"OUT: expected an empty folder or one of an earlier run, got {out} with other things in it")
    existing = next(p for p in (out.resolve(), *out.resolve().parents) if p.exists())
    if not os.access(existing, os.W_OK):
        raise PlanError(f"OUT: expected a folder that can be written, got {existing} read-only; choose another OUT")


def _resolved(where: Place) -> Place:
    return where.resolve() if isinstance(where, Path) else where


def _is_within(inner: Place, outer: Place) -> bool:
    if isinstance(inner, Path) and isinstance(outer, Path):
        return inner == outer or outer in inner.parents
    return isinstance(inner, Remote) and isinstance(outer, Remote) and f"{inner}/".startswith(f"{outer}/")


def _check_remote_out(out: Remote) -> None:
    check_bucket(out)
    if out.is_file():
        raise PlanError(f"OUT: expected a folder, got the file {out}; choose another OUT")
    if out.is_dir() and not (out / HOME).is_dir():
        raise PlanError(f"OUT: expected an empty folder or one of an earlier run, got {out} with other things in it")


def _check_clean(plan: Plan, shards: Sequence[Place]) -> None:
    for shard in shards:
        if plan.looks[shard].protected:
            raise PlanError(
                f"{shard}: expected clean shards, found one this tool has protected already; "
                "protect the originals instead, or use --force to protect it once more"
            )


def check_decided(source: Place, found: Undecided, settings: PublishSettings) -> None:
    """Raises PlanError where nobody said what is to be done with links or other members."""
    if reason := undecided_reason(found, settings):
        raise PlanError(f"{source}: {reason}")


def undecided_reason(found: Undecided, settings: PublishSettings) -> str:
    """What nobody has decided about, and how to; "" where all is decided."""
    if found.links and not settings.urls:
        return (
            f"its {found.links[0]!r} fields lead back to the clean originals; "
            "say --urls strip to empty them or --urls keep to publish them"
        )
    if found.others and not settings.others:
        return (
            f"its {found.others[0]} may show the clean picture or caption again and cannot be protected; "
            "say --others drop to leave such parts out or --others keep to publish them"
        )
    return ""


def check_places(source: Path, out: Path) -> None:
    """Raises PlanError unless OUT is a folder apart from the photos, new or one of an earlier run."""
    refuse_address("DIR", str(source))
    refuse_address("OUT", str(out))
    if not source.is_dir():
        raise PlanError(f"DIR: expected a folder of photos, got {source}; give the folder they are in")
    here, there = source.resolve(), out.resolve()
    if here == there or here in there.parents or there in here.parents:
        raise PlanError(f"OUT: expected a folder apart from the photos, got {out} for {source}; choose another OUT")
    if (out / PRIVATE / JOB).exists():
        raise PlanError(f"OUT: expected a folder for photos, got {out} with protected shards; choose another OUT")
    _check_local_out(out)
