"""Peak memory of phase 2 on 1,000 and on 10,000 pairs: one process each, the same protector.

    python benchmarks/memory.py
    python benchmarks/memory.py --method em --fit "--phase2-steps 4" --name memory-em

10,000 pairs come as ten shards and as one. `peak_mb` is that of the process, its imports included.
"""

import argparse
import shlex
import shutil
import tarfile
from pathlib import Path

from common import DATA, ROOT, RUNS, protect, save, table

TRAIN = DATA / "collage-64/train"


def one_shard(source: Path, target: Path) -> Path:
    """All pairs of a folder of shards in one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(target, "w") as whole:
        for shard in sorted(source.glob("*.tar")):
            with tarfile.open(shard) as part:
                for info in part:
                    whole.addfile(info, part.extractfile(info))
    return target


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", default="instant", help="instant: no surrogate in phase 2; em: one at work")
    parser.add_argument("--fit", default="", help="further options of `protect fit`")
    parser.add_argument("--name", default="memory-instant")
    given = parser.parse_args()
    folder = RUNS / "memory"
    shutil.rmtree(folder, ignore_errors=True)
    small, rounds = TRAIN / "00000.tar", ["--rounds", 2, "--surrogate-steps", 1] if given.method != "instant" else []
    options = ["--window", 256, *rounds, *shlex.split(given.fit)]
    protect("fit", small, "-o", folder / "protector", "--method", given.method, *options, "-q", threads=1)
    inputs = {
        "1,000 pairs in a shard": small,
        "10,000 pairs in ten shards": TRAIN,
        "10,000 pairs in one shard": one_shard(TRAIN, folder / "one" / "00000.tar"),
    }
    rows = []
    for number, (what, shards) in enumerate(inputs.items()):
        out = folder / f"out{number}"
        cost = protect(
            "shards", shards, out, "--protector", folder / "protector", "--workers", 1, "-q", threads=1
        )  # fmt: skip
        rows.append({"input": what, **cost, "ratio": round(cost["peak_mb"] / rows[0]["peak_mb"], 3) if rows else 1.0})
    print(table(rows))
    print(save(given.name, vars(given), rows).relative_to(ROOT))


if __name__ == "__main__":
    main()
