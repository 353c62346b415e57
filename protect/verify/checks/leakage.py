"""What the published files give away: clean captions, links, previews, hashes and clean pictures."""

from collections.abc import Iterator
from pathlib import Path

from protect.data.scratch import at_hand
from protect.data.shards import shard_stem
from protect.publish.leaks import Leak, Originals, plain_key, scan_folder, scan_parquet, scan_shard
from protect.settings.publish import PublishSettings
from protect.verify.reading.matched_sample import Sampled
from protect.verify.reading.scrape import OWN_FOLDER


def leaks(sampled: Sampled, changed: bool) -> list[str]:
    """One line for each kind of leak. Captions that were not `changed` at all give nothing away."""
    found = [leak for leak in _scan(sampled) if changed or leak.kind != "caption"]
    lines = list(_unprotected(sampled, found, changed))
    groups: dict[tuple[str, str], list[Leak]] = {}
    for leak in found:
        if leak.kind == "unprotected":
            continue
        detail = leak.detail.partition(": ")[2] if leak.key else leak.detail
        groups.setdefault((leak.kind, detail or leak.detail), []).append(leak)
    for (kind, detail), group in groups.items():
        first = " ".join(part for part in (group[0].shard, group[0].key) if part)
        lines.append(f"{kind}: {detail}, {len(group)} times, first in {first}")
    return lines


def _unprotected(sampled: Sampled, found: list[Leak], changed: bool) -> Iterator[str]:
    """Samples that are published as they were: their pictures, and captions where others were changed."""
    pictures = sum(leak.kind == "unprotected" for leak in found)
    if pictures:
        yield f"{pictures} of {len(sampled.published)} pictures are the clean ones"
    same = sum(a.captions == b.captions for a, b in zip(sampled.clean, sampled.published, strict=True))
    if same and (changed or pictures == len(sampled.published)):
        yield f"{same} of {len(sampled.published)} captions are the clean ones"


def _scan(sampled: Sampled) -> Iterator[Leak]:
    originals = _originals(sampled)
    for place in sampled.files:
        if isinstance(place, Path) and place.is_dir():
            yield from scan_folder(place, originals, (OWN_FOLDER,))
            continue
        name = f"{shard_stem(place)}.parquet"
        with at_hand(place, (name,)) as path:
            yield from scan_shard(path, originals)
            if path.with_name(name).exists():
                yield from scan_parquet(path.with_name(name), originals)
    first = sampled.files[0]
    if isinstance(first, Path) and not first.is_dir():
        yield from _beside(first.parent, originals)


def _originals(sampled: Sampled) -> Originals:
    """The clean pairs. A published caption that is a clean one is counted elsewhere: here it gives nothing away."""
    originals = Originals(PublishSettings().caption_keys)
    files = {}
    for clean, published in zip(sampled.clean, sampled.published, strict=True):
        originals.add(clean.key, clean.captions, published.captions, clean.picture)
        files[plain_key(clean.key)] = clean.picture
    originals.pictures.files = files
    return originals


def _beside(folder: Path, originals: Originals) -> Iterator[Leak]:
    """Pictures that lie in the folder of the shards."""
    for leak in scan_folder(folder, originals, (OWN_FOLDER,), pictures_only=True):
        if leak.kind in ("clean picture", "unprotected"):
            yield Leak(leak.shard, leak.key, "clean picture", leak.detail)
