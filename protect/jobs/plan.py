"""What a run would do: its shards, its output folder, and every reason to refuse before anything is written."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from protect.data.captions import Undecided
from protect.data.shard_list import ShardError, name_shards, shard_stem
from protect.data.shards import TruncatedShard, read_samples
from protect.files import HOME, PlanError, refuse_address
from protect.jobs.look import Looks
from protect.settings.publish import PublishSettings


@dataclass(frozen=True)
class Plan:
    """The shards of a run, its output folder, the settings that decide what is written, and a look at each shard."""

    shards: tuple[Path, ...]
    out: Path
    publish: PublishSettings
    looks: Looks = field(default_factory=Looks, compare=False, repr=False)
    names: Mapping[Path, str] = field(default_factory=dict)  # places below OUT, where they are not the shards' names

    @property
    def home(self) -> Path:
        return self.out / HOME

    @property
    def private(self) -> Path:
        """What must never be published: words by key, clean captions, the protector."""
        return self.home / "private"

    def name(self, shard: Path) -> str:
        """Where a shard lies below OUT, with forward slashes."""
        return self.names.get(shard, shard.name)

    def target(self, shard: Path) -> Path:
        return self.out / self.name(shard)

    def stats(self, shard: Path) -> Path:
        return self.target(shard).with_name(f"{shard_stem(shard)}_stats.json")

    def parquet(self, shard: Path) -> Path:
        return self.target(shard).with_name(f"{shard_stem(shard)}.parquet")

    def records(self, shard: Path) -> Path:
        return (self.private / self.name(shard)).with_name(f"{shard_stem(shard)}.jsonl")

    def make_folders(self) -> None:
        """OUT with the folders that its shards have in the input."""
        for folder in (self.out, self.home, *{self.target(shard).parent for shard in self.shards}):
            folder.mkdir(parents=True, exist_ok=True)
        self.private.mkdir(mode=0o700, exist_ok=True)
        for shard in self.shards:
            self.records(shard).parent.mkdir(mode=0o700, parents=True, exist_ok=True)

    def identity(self, protector: str) -> str:
        """Hash of everything that decides the bytes written; a resumed run must have the same."""
        shards = [(self.name(shard), shard.stat().st_size) for shard in self.shards]
        text = json.dumps([protector, asdict(self.publish), shards], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def make_plan(sources: Sequence[str], out: Path, publish: PublishSettings, force: bool = False) -> Plan:
    """Checks everything that can be checked before the first byte is written.

    Raises PlanError or ShardError: no shards, OUT is IN or lies inside it, OUT holds other things, the input is
    protected already (unless `force`), or it has links to the originals and nothing said what to do with them.
    """
    names = name_shards(sources)
    shards = tuple(names)
    plan = Plan(shards, out, publish, Looks(len(shards), publish), names)
    _check_places(shards, out, [Path(source) for source in sources if Path(source).is_dir()])
    _check_open(shards)
    if not force:
        _check_clean(plan)
    if not (publish.urls and publish.others):
        for shard in shards:
            check_decided(shard, plan.looks[shard].undecided, publish)
    return plan


def _check_open(shards: Sequence[Path]) -> None:
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


def _check_places(shards: Sequence[Path], out: Path, sources: Sequence[Path]) -> None:
    refuse_address("OUT", str(out))
    target = out.resolve()
    inputs = {place for shard in shards for place in (shard.resolve().parent, shard.parent.resolve())}
    for folder in inputs | {source.resolve() for source in sources}:
        if target == folder or folder in target.parents:
            raise PlanError(f"OUT: expected a folder outside the input, got {out} in {folder}; choose another OUT")
    if out.exists() and not out.is_dir():
        raise PlanError(f"OUT: expected a folder, got the file {out}; choose another OUT")
    if out.exists() and any(out.iterdir()) and not (out / HOME).is_dir():
        raise PlanError(f"OUT: expected an empty folder or one of an earlier run, got {out} with other things in it")
    existing = next(p for p in (target, *target.parents) if p.exists())
    if not os.access(existing, os.W_OK):
        raise PlanError(f"OUT: expected a folder that can be written, got {existing} read-only; choose another OUT")


def _check_clean(plan: Plan) -> None:
    for shard in plan.shards:
        if plan.looks[shard].protected:
            raise PlanError(
                f"{shard}: expected clean shards, found one this tool has protected already; "
                "protect the originals instead, or use --force to protect it once more"
            )


def check_decided(source: Path, found: Undecided, settings: PublishSettings) -> None:
    """Raises PlanError where nobody said what is to be done with links or other members."""
    if found.links and not settings.urls:
        raise links_error(source, found.links[0])
    if found.others and not settings.others:
        raise PlanError(
            f"{source}: its {found.others[0]} may show the clean picture or caption again and cannot be protected; "
            "say --others drop to leave such parts out or --others keep to publish them"
        )


def links_error(shard: Path, field: str) -> PlanError:
    return PlanError(
        f"{shard}: its {field!r} fields lead back to the clean originals; "
        "say --urls strip to empty them or --urls keep to publish them"
    )


def check_places(source: Path, out: Path) -> None:
    """Raises PlanError unless OUT is a folder apart from the photos, new or one of an earlier run."""
    refuse_address("DIR", str(source))
    refuse_address("OUT", str(out))
    if not source.is_dir():
        raise PlanError(f"DIR: expected a folder of photos, got {source}; give the folder they are in")
    here, there = source.resolve(), out.resolve()
    if here == there or here in there.parents or there in here.parents:
        raise PlanError(f"OUT: expected a folder apart from the photos, got {out} for {source}; choose another OUT")
    if out.exists() and not out.is_dir():
        raise PlanError(f"OUT: expected a folder, got the file {out}; choose another OUT")
    if (out / HOME / "private" / "job.json").exists():
        raise PlanError(f"OUT: expected a folder for photos, got {out} with protected shards; choose another OUT")
    if out.exists() and any(out.iterdir()) and not (out / HOME).is_dir():
        raise PlanError(f"OUT: expected an empty folder or one of an earlier run, got {out} with other things in it")
    existing = next(p for p in (there, *there.parents) if p.exists())
    if not os.access(existing, os.W_OK):
        raise PlanError(f"OUT: expected a folder that can be written, got {existing} read-only; choose another OUT")
