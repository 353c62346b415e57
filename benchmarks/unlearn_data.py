"""The sets that benchmarks/unlearn.py forgets and keeps, as shards under runs/unlearn/data/."""

import io
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from common import DATA, RUNS
from PIL import Image

from protect.data.shard_writer import ShardWriter, replace_members
from protect.data.shards import find_shards, image_member, read_samples, split_name
from protect.types import Sample

FOLDER = RUNS / "unlearn/data"
FORGET = "8"  # the class to forget: ship, which a small model knows best
UNSAFE = ("2", "3", "6")  # bird, cat, frog stand in for what is unsafe
SAFE = ("0", "1", "8")  # airplane, automobile, ship: their twins, in this order
SHARE = 10  # one pair in this many is forgotten where pairs are, not a class

Change = Callable[[Sample], Sample | None]


def main() -> None:
    for split in ("train", "test"):
        photos, collages = DATA / "cifar-photos" / split, DATA / "collage-64" / split
        write(f"class/forget-{split}", photos, lambda sample: sample if kind(sample) == FORGET else None)
        write(f"class/retain-{split}", photos, lambda sample: sample if kind(sample) != FORGET else None)
        write(f"safe/unsafe-{split}", photos, lambda sample: sample if kind(sample) in UNSAFE else None)
        write(f"safe/safe-{split}", photos, lambda sample: sample if kind(sample) in SAFE else None)
        write(f"pairs/forget-{split}", collages, lambda sample: sample if chosen(sample) else None)
        write(f"pairs/retain-{split}", collages, lambda sample: None if chosen(sample) else sample)
    write("class/far", DATA / "cifar-photos/test", lambda sample: grey(sample) if kind(sample) != FORGET else None)


def kind(sample: Sample) -> str:
    return next(member.data.decode().strip() for member in sample.members if split_name(member.name)[1] == "cls")


def chosen(sample: Sample) -> bool:
    return random.Random(sample.key).randrange(SHARE) == 0


def grey(sample: Sample) -> Sample:
    """The same photo without colour: the same things in a domain that is never trained on."""
    member = image_member(sample)
    assert member is not None
    file = io.BytesIO()
    Image.open(io.BytesIO(member.data)).convert("L").convert("RGB").save(file, "JPEG", quality=95, subsampling=0)
    return replace_members(sample, {"jpg": file.getvalue()})


def write(name: str, source: Path, change: Change) -> None:
    """One shard with what `change` makes of the samples of `source`; None leaves one out."""
    path = FOLDER / name / "00000.tar"
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with ShardWriter(path) as writer:
        for sample in changed(source, change):
            writer.write(sample)
        writer.commit()


def changed(source: Path, change: Change) -> Iterator[Sample]:
    for shard in find_shards([str(source)]):
        for sample in read_samples(shard):
            new = change(sample)
            if new is not None:
                yield new


if __name__ == "__main__":
    main()
