"""What a finished run holds: its stats, a contact sheet of random samples, and what still leaks."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

from protect.data.captions import captions_of
from protect.data.shards import find_shards, image_member, readable, shard_stem
from protect.files import HOME
from protect.jobs.contact_sheet import Pair, contact_sheet
from protect.publish.leaks import Leak, scan_parquet, scan_shard
from protect.seeds import derive
from protect.types import Sample

SHEET = "contact-sheet.png"


@dataclass(frozen=True)
class Inspection:
    """rows: one stats record a shard; sheet: where the contact sheet lies (None when the originals are gone)."""

    rows: tuple[dict[str, Any], ...]
    sheet: Path | None
    leaks: tuple[Leak, ...]


def inspect_run(out: Path, count: int = 8, seed: int = 0) -> Inspection:
    """Reads a run's OUT again from disk; ValueError when it is none."""
    private = out / HOME / "private"
    try:
        job = json.loads((private / "job.json").read_bytes())
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{out}: expected the OUT of `protect shards` with its private files, got: {error}"
        ) from error
    shards = find_shards([str(out)])
    keys, leaks, rows = job["publish"]["caption_keys"], [], []
    for shard in shards:
        rows.append({"shard": shard.name, **_stats(shard)})
        records = read_records(private, shard)
        clean = partial(_captions, records)
        leaks += list(scan_shard(shard, clean, keys))
        parquet = shard.with_name(f"{shard_stem(shard)}.parquet")
        if parquet.exists():
            leaks += list(scan_parquet(parquet, clean, keys))
    pairs = _pairs(shards, [Path(source) for source in job["shards"]], private, count, seed, keys)
    sheet = None
    if pairs:
        sheet = private / SHEET
        contact_sheet(pairs).save(sheet)
    return Inspection(tuple(rows), sheet, tuple(leaks))


def _stats(shard: Path) -> dict[str, Any]:
    path = shard.with_name(f"{shard_stem(shard)}_stats.json")
    if not path.exists():
        raise ValueError(f"{shard}: expected a finished run, found no {path.name}; run `protect shards` again")
    return json.loads(path.read_bytes())


def _captions(records: dict[str, dict[str, Any]], key: str) -> Sequence[str]:
    """The clean captions that must not be there; where no words were planted, they are the published ones."""
    return records[key]["captions"] if key in records and records[key]["words"] else ()


def read_records(private: Path, shard: Path) -> dict[str, dict[str, Any]]:
    """The private record of each protected sample of a shard, by key."""
    lines = (private / f"{shard_stem(shard)}.jsonl").read_text().splitlines()
    return {record["key"]: record for record in map(json.loads, lines)}


def _pairs(
    shards: Sequence[Path], sources: Sequence[Path], private: Path, count: int, seed: int, keys: Sequence[str]
) -> list[Pair]:
    """Up to `count` samples drawn from a few random shards."""
    originals = {source.name: source for source in sources if source.exists()}
    known = sorted((s for s in shards if s.name in originals), key=lambda shard: derive(seed, "sheet", shard.name))
    each = -(-count // max(1, min(len(known), 4)))
    some = (_pairs_of(shard, originals[shard.name], private, each, seed, keys) for shard in known[:4])
    return list(islice(chain.from_iterable(some), count))


def _pairs_of(
    shard: Path, original: Path, private: Path, count: int, seed: int, caption_keys: Sequence[str]
) -> Iterator[Pair]:
    records = read_records(private, shard)
    chosen = set(sorted(records, key=lambda key: derive(seed, "sheet", key))[:count])
    clean = _pictured(original, chosen)
    for key, (image, sample) in _pictured(shard, chosen).items():
        if key in clean:
            caption = records[key]["captions"][0]
            changed = next((c for c in captions_of(sample, caption_keys) if caption in c), caption)
            yield Pair(key, clean[key][0], image, caption, changed)


def _pictured(shard: Path, keys: set[str]) -> dict[str, tuple[bytes, Sample]]:
    """The first sample with a picture of each key."""
    pictured: dict[str, tuple[bytes, Sample]] = {}
    for sample in readable(shard):
        if sample.key in keys and (image := image_member(sample)) is not None:
            pictured.setdefault(sample.key, (image.data, sample))
    return pictured
