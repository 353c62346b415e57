"""Does the verifier certify what does not protect? Unprotected files and random noise through its newer rows.

    python benchmarks/sanity.py

`protect bench` on collage-64: *clean* stands for files that nobody protected and must retain all of the gain, once a
row is compared with the same done to clean files; *random* is a method that is known to fail. The same command
resumes a killed run.
"""

import argparse
import json
from collections.abc import Iterator
from typing import Any

from common import DATA, ROOT, RUNS, protect, save, table
from verdict import rows_of

ENTRIES = ("clean", "random")
ROWS = "oproj,normalise-and-deduplicate,half-resolution,large-batch-512"
FOLDER = RUNS / "sanity"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, default=4, help="of 1,000 pairs")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--rows", default=ROWS, help="countermeasures, each with its matched control")
    settings = parser.parse_args()
    data = FOLDER / "data"
    for split, shards in (("train", settings.shards), ("test", None)):
        (data / split).mkdir(parents=True, exist_ok=True)
        for shard in sorted((DATA / "collage-64" / split).glob("*.tar"))[:shards]:
            (data / split / shard.name).unlink(missing_ok=True)
            (data / split / shard.name).symlink_to(shard.resolve())
    asked = ("--methods", ",".join(ENTRIES), "--rows", f"{settings.rows},controls", "--attackers", "tiny-resnet")
    recipe = ("--epochs", settings.epochs, "--seeds", settings.seeds, "--jobs", 1)
    protect("bench", data, *asked, *recipe, "--out", FOLDER / "out")
    rows = [row for entry in ENTRIES for row in compared(entry)]
    print(table(rows))
    print(save("sanity", vars(settings), {"rows": rows}).relative_to(ROOT))


def compared(entry: str) -> Iterator[dict[str, Any]]:
    """What the files of an entry retain in each row, of clean training and of the row's own control."""
    rows = {row["arm"]: row for row in rows_of(json.loads((FOLDER / "out" / entry / "details.json").read_text()))}
    for name, row in rows.items():
        control = rows.get(f"clean:{name}")
        if name != "clean" and not name.startswith("clean:") and row["best"] is not None:
            of_control = None if control is None else round(row["best"] / control["best"], 2)
            yield {
                "entry": entry, "row": name, "retained, best": round(row["best"], 2),
                "error": row["best, error"] and round(row["best, error"], 2), "of its control": of_control,
            }  # fmt: skip


if __name__ == "__main__":
    main()
