"""Make image-caption pairs to try the tool on: rendered scenes in shards of img2dataset's layout.

    python samples/make_samples.py OUT --pairs 2000 --seed 0

The same arguments give the same bytes; another seed gives other scenes (take one seed to train, one to test).
"""

import argparse
import io
import json
import random
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from scenes import draw, make_scene

PHRASINGS = 2
MAX_PER_SHARD = 10_000  # a key has four digits for the place in the shard


def make_pair(key: str, size: int, rng: random.Random) -> dict[str, bytes]:
    """One sample's members by extension, in the order they stand in the tar."""
    scene = make_scene(rng)
    captions = scene.captions(rng, PHRASINGS)
    jpeg = io.BytesIO()
    draw(scene, size, rng).save(jpeg, "JPEG", quality=95, subsampling=0)
    fields = {
        "scene": asdict(scene),
        "caption": captions[0],
        "captions": captions,
        "url": None,
        "key": key,
        "status": "success",
        "error_message": None,
        "width": size,
        "height": size,
        "original_width": size,
        "original_height": size,
        "exif": "{}",
    }
    return {
        "jpg": jpeg.getvalue(),
        "json": json.dumps(fields, indent=4).encode(),
        "txt": captions[0].encode(),
    }


def make_pairs(shard: int, start: int, stop: int, size: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of a shard's files; a pair depends on the seed and its number only."""
    for number in range(start, stop):
        key = f"{shard:05d}{number - start:04d}"
        for extension, data in make_pair(key, size, random.Random(f"{seed}:{number}")).items():
            yield f"{key}.{extension}", data


def write_shard(path: Path, files: Iterator[tuple[str, bytes]]) -> None:
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in files:
            entry = tarfile.TarInfo(name)  # time, owner and group stay 0, so that the bytes repeat
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))


def make_samples(out: Path, pairs: int, seed: int, size: int = 64, per_shard: int = 1000) -> list[Path]:
    """Write the shards and return their paths; raises ValueError when `out` already holds something."""
    if pairs < 1 or size < 16 or not 1 <= per_shard <= MAX_PER_SHARD:
        raise ValueError(
            f"expected pairs of 1 or more, size of 16 or more and 1 to {MAX_PER_SHARD} pairs a shard, "
            f"got {pairs}, {size} and {per_shard}"
        )
    if out.exists() and any(out.iterdir()):
        raise ValueError(f"{out}: expected a new or empty folder, found files in it; remove them or name another")
    out.mkdir(parents=True, exist_ok=True)
    shards = []
    for shard, start in enumerate(range(0, pairs, per_shard)):
        shards.append(out / f"{shard:05d}.tar")
        write_shard(shards[-1], make_pairs(shard, start, min(start + per_shard, pairs), size, seed))
    return shards


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="new folder for the shards")
    parser.add_argument("--pairs", type=int, default=2000, help="how many image-caption pairs (2000)")
    parser.add_argument("--seed", type=int, default=0, help="which pairs (0)")
    parser.add_argument("--size", type=int, default=64, help="width and height of the images in pixels (64)")
    parser.add_argument("--per-shard", type=int, default=1000, help="pairs in one tar (1000)")
    args = parser.parse_args()
    try:
        shards = make_samples(args.out, args.pairs, args.seed, args.size, args.per_shard)
    except (ValueError, OSError) as error:
        sys.exit(f"make_samples: {error}")
    print(f"{args.pairs} pairs in {len(shards)} {'shard' if len(shards) == 1 else 'shards'} in {args.out}")


if __name__ == "__main__":
    main()
