"""What a finished run holds: its stats, a contact sheet of random samples, and what still leaks."""

import io
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

from protect.data.captions import captions_of
from protect.data.scratch import at_hand
from protect.data.shard_list import name_shards
from protect.data.shards import image_member, readable, shard_stem
from protect.data.storage import Place, place, write_file
from protect.jobs.contact_sheet import Pair, contact_sheet
from protect.jobs.layout import JOB, PRIVATE
from protect.jobs.photos.leaks import scan_photos
from protect.jobs.photos.records import records_path
from protect.methods.parts.writing import write_words
from protect.publish.leaks import Leak, Originals, plain_key, scan_parquet, scan_shard
from protect.publish.originals import originals_of
from protect.samples import Sample
from protect.seeds import derive
from protect.settings.base import from_dict
from protect.settings.publish import PublishSettings
from protect.settings.recipe import TriggerSettings

SHEET = "contact-sheet.png"


@dataclass(frozen=True)
class Inspection:
    """rows: one stats record a shard; sheet: where the contact sheet lies (None when the originals are gone).

    checked: in words, what the leaks were looked for against.
    """

    rows: tuple[dict[str, Any], ...]
    sheet: Place | None
    leaks: tuple[Leak, ...]
    checked: str


def inspect_run(
    source: str | Path, count: int = 8, seed: int = 0, clean_source: str | Path | None = None
) -> Inspection:
    """Reads OUT again, of shards or of photos; clean_source: the clean input, where it is not where it was.

    Raises ValueError when there is no run's OUT and nothing to compare with.
    """
    out, against = place(source), place(clean_source) if clean_source is not None else None
    private = out / PRIVATE
    if isinstance(out, Path) and records_path(out).exists():
        return _inspect_photos(out, against)
    if against is not None and not (private / JOB).exists():
        return _inspect_foreign(out, against)
    try:
        job = json.loads((private / JOB).read_bytes())
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{out}: expected the OUT of `protect shards` or `protect photos` with its private files, got: {error}; "
            "say --against IN to compare with the clean files instead"
        ) from error
    shards = name_shards([str(out)])
    keys, leaks, rows = job["publish"]["caption_keys"], [], []
    clean, noise = _clean_shards(job, against), job["recipe"]["noise"]["epsilon"] >= 1
    for shard, name in shards.items():
        rows.append({"shard": name, **_stats(shard)})
        records = read_records((private / name).parent, shard)
        style = from_dict(TriggerSettings, job["recipe"]["trigger"]).style
        originals = _originals(clean.get(name), records, keys, style)
        originals.kept = {plain_key(error["key"]) for error in rows[-1]["errors"] if error["key"] not in records}
        leaks += [leak for leak in scan_files(shard, originals) if noise or leak.kind != "unprotected"]
    pairs = _pairs(shards, clean, private, count, seed, keys)
    sheet: Place | None = None
    if pairs:
        picture = io.BytesIO()
        contact_sheet(pairs).save(picture, "PNG")
        sheet = private / SHEET
        write_file(sheet, picture.getvalue(), 0o600)
    known = sum(name in clean for name in shards.values())
    return Inspection(tuple(rows), sheet, tuple(leaks), f"the clean input of {known} of {len(shards)} shards")


def _clean_shards(job: dict[str, Any], against: Place | None) -> dict[str, Place]:
    """The clean shards that are still there, by their place below OUT."""
    if against is not None:
        return {name: shard for shard, name in name_shards([str(against)]).items()}
    sources = ((name, place(where)) for where, name in job["shards"])
    return {name: source for name, source in sources if source.exists()}


def scan_files(shard: Place, originals: Originals, keys: Collection[str] | None = None) -> Iterator[Leak]:
    """Leaks of a shard and of its parquet."""
    name = f"{shard_stem(shard)}.parquet"
    with at_hand(shard, (name,)) as path:
        yield from scan_shard(path, originals, keys)
        parquet = path.with_name(name)
        if parquet.exists():
            yield from scan_parquet(parquet, originals, keys)


def _originals(
    source: Place | None, records: Mapping[str, dict[str, Any]], caption_keys: Sequence[str], style: str
) -> Originals:
    """The clean samples that were protected, from the clean shard where it is at hand and from the records."""
    changes = {plain_key(k): partial(write_words, words=tuple(r["words"]), style=style) for k, r in records.items()}
    if source is None:
        originals = Originals(caption_keys)
        for key, record in records.items():
            originals.add(key, record["captions"], [*map(changes[plain_key(key)], record["captions"])])
    else:
        with at_hand(source, (f"{shard_stem(source)}.parquet",)) as path:
            originals = originals_of(path, caption_keys, changes)
    for key, record in records.items():
        originals.texts.add_digest(key, "sha256", record["clean"])
    return originals


def _inspect_foreign(out: Place, against: Place) -> Inspection:
    """Files of an unknown making beside the clean ones, all of whose pairs should have been protected."""
    keys, leaks = PublishSettings().caption_keys, []
    clean, shards = _clean_shards({}, against), name_shards([str(out)])
    for shard, name in shards.items():
        if name in clean:
            with at_hand(clean[name], (f"{shard_stem(clean[name])}.parquet",)) as path:
                leaks += list(scan_files(shard, originals_of(path, keys)))
    known = sum(name in clean for name in shards.values())
    return Inspection((), None, tuple(leaks), f"the clean input of {known} of {len(shards)} shards")


def _inspect_photos(out: Path, against: Place | None) -> Inspection:
    if against is not None and not isinstance(against, Path):
        raise ValueError(f"--against: expected a local folder of photos, got {against}; copy it here first")
    checked = (
        "the records alone: say --against DIR to compare with the clean photos"
        if against is None
        else "the clean photos"
    )
    return Inspection((), None, tuple(scan_photos(out, against)), checked)


def _stats(shard: Place) -> dict[str, Any]:
    path = shard.with_name(f"{shard_stem(shard)}_stats.json")
    if not path.exists():
        raise ValueError(f"{shard}: expected a finished run, found no {path.name}; run `protect shards` again")
    return json.loads(path.read_bytes())


def read_records(private: Place, shard: Place) -> dict[str, dict[str, Any]]:
    """The private record of each protected sample of a shard, by key."""
    lines = (private / f"{shard_stem(shard)}.jsonl").read_bytes().splitlines()
    return {record["key"]: record for record in map(json.loads, lines)}


def _pairs(
    shards: Mapping[Place, str],
    clean: Mapping[str, Place],
    private: Place,
    count: int,
    seed: int,
    keys: Sequence[str],
) -> list[Pair]:
    """Up to `count` samples drawn from a few random shards."""
    known = sorted((s for s in shards if shards[s] in clean), key=lambda shard: derive(seed, "sheet", shards[shard]))
    each = -(-count // max(1, min(len(known), 4)))
    some = (
        _pairs_of(shard, clean[shards[shard]], (private / shards[shard]).parent, each, seed, keys)
        for shard in known[:4]
    )
    return list(islice(chain.from_iterable(some), count))


def _pairs_of(
    shard: Place, original: Place, private: Place, count: int, seed: int, caption_keys: Sequence[str]
) -> Iterator[Pair]:
    records = read_records(private, shard)
    chosen = set(sorted(records, key=lambda key: derive(seed, "sheet", key))[:count])
    clean = _pictured(original, chosen)
    for key, (image, sample) in _pictured(shard, chosen).items():
        if key in clean:
            caption = records[key]["captions"][0]
            changed = next((c for c in captions_of(sample, caption_keys) if caption in c), caption)
            yield Pair(key, clean[key][0], image, caption, changed)


def _pictured(shard: Place, keys: set[str]) -> dict[str, tuple[bytes, Sample]]:
    """The first sample with a picture of each key."""
    pictured: dict[str, tuple[bytes, Sample]] = {}
    for sample in readable(shard):
        if sample.key in keys and (image := image_member(sample)) is not None:
            pictured.setdefault(sample.key, (image.data, sample))
    return pictured
