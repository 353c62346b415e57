"""What a finished run holds: its stats, a contact sheet of random samples, and what still leaks."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from protect.contact_sheet import Pair, contact_sheet
from protect.leaks import Leak, scan_parquet, scan_shard
from protect.plan import HOME
from protect.seeds import derive
from protect.shards import find_shards, image_member, read_samples, shard_stem

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
        records = read_records(private, shard)
        clean = partial(_captions, records)
        leaks += list(scan_shard(shard, clean, keys))
        parquet = shard.with_name(f"{shard_stem(shard)}.parquet")
        if parquet.exists():
            leaks += list(scan_parquet(parquet, clean, keys))
        stats = json.loads((out / f"{shard_stem(shard)}_stats.json").read_bytes())
        rows.append({"shard": shard.name, **stats})
    pairs = _pairs(shards, [Path(source) for source in job["shards"]], private, count, seed)
    sheet = None
    if pairs:
        sheet = private / SHEET
        contact_sheet(pairs).save(sheet)
    return Inspection(tuple(rows), sheet, tuple(leaks))


def _captions(records: dict[str, dict[str, Any]], key: str) -> Sequence[str]:
    return records[key]["captions"] if key in records else ()


def read_records(private: Path, shard: Path) -> dict[str, dict[str, Any]]:
    """The private record of each protected sample of a shard, by key."""
    lines = (private / f"{shard_stem(shard)}.jsonl").read_text().splitlines()
    return {record["key"]: record for record in map(json.loads, lines)}


def _pairs(shards: Sequence[Path], sources: Sequence[Path], private: Path, count: int, seed: int) -> list[Pair]:
    """Up to `count` samples drawn from a few random shards."""
    originals = {source.name: source for source in sources if source.exists()}
    known = sorted((s for s in shards if s.name in originals), key=lambda shard: derive(seed, "sheet", shard.name))
    each = -(-count // max(1, min(len(known), 4)))
    pairs = [pair for shard in known[:4] for pair in _pairs_of(shard, originals[shard.name], private, each, seed)]
    return pairs[:count]


def _pairs_of(shard: Path, original: Path, private: Path, count: int, seed: int) -> Iterator[Pair]:
    records = read_records(private, shard)
    chosen = set(sorted(records, key=lambda key: derive(seed, "sheet", key))[:count])
    clean = _images(original, chosen)
    for key, data in _images(shard, chosen).items():
        if key in clean:
            caption = records[key]["captions"][0]
            yield Pair(key, clean[key], data, caption, _published_caption(shard, key, caption))


def _images(shard: Path, keys: set[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for sample in read_samples(shard):
        if sample.key in keys and (image := image_member(sample)) is not None:
            found.setdefault(sample.key, image.data)
    return found


def _published_caption(shard: Path, key: str, clean: str) -> str:
    from protect.captions import captions_of

    sample = next(sample for sample in read_samples(shard) if sample.key == key)
    return next((c for c in captions_of(sample, ("caption", "captions")) if clean in c), clean)
