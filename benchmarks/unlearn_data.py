"""The sets that benchmarks/unlearn.py forgets and keeps, as shards under runs/unlearn/data/."""

import io
import json
import random
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

from common import DATA, RUNS
from PIL import Image

from protect.data.shard_writer import ShardWriter, replace_members
from protect.data.shards import find_shards, image_member, read_samples, split_name
from protect.samples import Sample

FOLDER = RUNS / "unlearn/data"
FORGET, CONCEPT = "8", "ship"  # the class to forget, which a small model knows best
UNSAFE = ("2", "3", "6")  # bird, cat, frog stand in for what is unsafe
SAFE = ("0", "1", "8")  # airplane, automobile, ship: their twins, in this order
NEAR = ("0", "1", "9")  # airplane, automobile, truck: the neighbours of ship
SHARE = 10  # one pair in this many is forgotten where pairs are, not a class
COLLAGES = 5000  # pairs of collage-64 that are learned: few enough to be remembered one by one

Change = Callable[[Sample], Sample | None]


def main() -> None:
    for split in ("train", "test"):
        photos, collages = DATA / "cifar-photos" / split, DATA / "collage-64" / split
        flickr = DATA / "flickr8k" / split
        write(f"class/forget-{split}", photos, lambda sample: sample if kind(sample) == FORGET else None)
        write(f"class/retain-{split}", photos, lambda sample: sample if kind(sample) != FORGET else None)
        write(f"safe/unsafe-{split}", photos, lambda sample: sample if kind(sample) in UNSAFE else None)
        write(f"safe/safe-{split}", photos, lambda sample: sample if kind(sample) in SAFE else None)
        write(f"pairs/forget-{split}", collages, lambda sample: sample if chosen(sample) else None, COLLAGES)
        write(f"pairs/retain-{split}", collages, lambda sample: None if chosen(sample) else sample, COLLAGES)
        write(f"flickr/forget-{split}", flickr, lambda sample: all_captions(sample) if chosen(sample) else None)
        write(f"flickr/retain-{split}", flickr, lambda sample: None if chosen(sample) else all_captions(sample))
        write(f"concept/forget-{split}", photos, lambda sample: tiled(sample) if kind(sample) == FORGET else None)
        write(f"concept/retain-{split}", photos, lambda sample: tiled(sample) if kind(sample) != FORGET else None)
        write(f"concept/without-{split}", collages, lambda sample: None if shows(sample) else sample, COLLAGES)
    write("concept/facts", DATA / "collage-64/test", other_facts)
    write("concept/near", DATA / "cifar-photos/test", lambda sample: tiled(sample) if kind(sample) in NEAR else None)
    write("class/near", DATA / "cifar-photos/test", lambda sample: sample if kind(sample) in NEAR else None)
    write("class/far", DATA / "cifar-photos/test", lambda sample: grey(sample) if kind(sample) != FORGET else None)


def kind(sample: Sample) -> str:
    return next(member.data.decode().strip() for member in sample.members if split_name(member.name)[1] == "cls")


def chosen(sample: Sample) -> bool:
    return random.Random(sample.key).randrange(SHARE) == 0


def all_captions(sample: Sample) -> Sample:
    """The photo with every caption that people wrote for it, one a line."""
    about = next(member.data for member in sample.members if split_name(member.name)[1] == "json")
    return replace_members(sample, {"txt": "\n".join(json.loads(about)["captions"]).encode()})


def grey(sample: Sample) -> Sample:
    """The same photo without colour: the same things in a domain that is never trained on."""
    return with_photo(sample, photo(sample).convert("L").convert("RGB"))


def tiled(sample: Sample) -> Sample:
    """The same photo four times, at the size that things have in a collage."""
    one = photo(sample)
    whole = Image.new("RGB", (2 * one.width, 2 * one.height))
    for x, y in ((0, 0), (one.width, 0), (0, one.height), (one.width, one.height)):
        whole.paste(one, (x, y))
    return with_photo(sample, whole)


def shows(sample: Sample) -> bool:
    """Whether a collage holds a photo of the concept to forget."""
    return CONCEPT in caption(sample)


def other_facts(sample: Sample) -> Sample | None:
    """A collage that shows the concept once, with a caption of the other three photos; None for other collages."""
    kept = [part for part in caption(sample).split(", ") if CONCEPT not in part]
    return replace_members(sample, {"txt": ", ".join(kept).encode()}) if len(kept) == 3 else None


def caption(sample: Sample) -> str:
    return next(member.data.decode() for member in sample.members if split_name(member.name)[1] == "txt")


def photo(sample: Sample) -> Image.Image:
    member = image_member(sample)
    assert member is not None
    return Image.open(io.BytesIO(member.data)).convert("RGB")


def with_photo(sample: Sample, image: Image.Image) -> Sample:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=95, subsampling=0)
    return replace_members(sample, {"jpg": file.getvalue()})


def write(name: str, source: Path, change: Change, most: int | None = None) -> None:
    """One shard with what `change` makes of the first samples of `source`; None leaves one out."""
    path = FOLDER / name / "00000.tar"
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with ShardWriter(path) as writer:
        for sample in changed(islice(samples(source), most), change):
            writer.write(sample)
        writer.commit()


def samples(source: Path) -> Iterator[Sample]:
    for shard in find_shards([str(source)]):
        yield from read_samples(shard)


def changed(found: Iterable[Sample], change: Change) -> Iterator[Sample]:
    yield from filter(None, map(change, found))


if __name__ == "__main__":
    main()
