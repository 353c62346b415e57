"""Peak memory of phase 2 on 1,000 and on 10,000 pairs: one process each, the same protector.

python benchmarks/memory.py --method em --fit "--phase2-steps 4" --name memory-em
"""

import argparse
import shlex
import shutil

from common import DATA, ROOT, RUNS, protect, save, table

TRAIN = DATA / "collage-64/train"
INPUTS = {1000: [str(TRAIN / "00000.tar")], 10000: [str(TRAIN)]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", default="instant", help="instant: no surrogate in phase 2; em: one at work")
    parser.add_argument("--fit", default="", help="further options of `protect fit`")
    parser.add_argument("--name", default="memory")
    settings = parser.parse_args()
    folder = RUNS / "memory"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    options = ["--window", 256, "--rounds", 2, "--surrogate-steps", 1, *shlex.split(settings.fit)]
    protect("fit", INPUTS[1000][0], "-o", folder / "protector", "--method", settings.method, *options)
    rows = []
    for pairs, shards in INPUTS.items():
        cost = protect("shards", *shards, folder / str(pairs), "--protector", folder / "protector")
        rows.append(
            {"pairs": pairs, **cost, "ratio": round(cost["peak_mb"] / rows[0]["peak_mb"], 3) if rows else 1.0}
        )
    print(table(rows))
    print(save(settings.name, vars(settings), rows).relative_to(ROOT))


if __name__ == "__main__":
    main()
