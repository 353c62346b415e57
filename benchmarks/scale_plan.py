"""What 100 million pairs would take: shards, core-hours, memory, requests and money. An estimate, not a measurement.

    python benchmarks/scale_plan.py

The cost of a picture is what benchmarks/phase2_speed.py measured on one thread of this machine; everything else is
stated here and can be changed: price of a core-hour and of requests (as large providers list them, on demand and as
spot, without tax or discount), bytes of a picture, pictures of a shard. Transfers within a region are taken as free.
"""

import argparse
import json
import math
from dataclasses import asdict, dataclass

from common import RESULTS, save, table

BLOCK = 16 << 20  # bytes of a request: protect.data.storage.BLOCK
MEMORY = 0.7  # GB a worker: the most that `instant` may take
SCRATCH = 3.3  # times a shard: the one in work, what is written of it, and the next one


@dataclass(frozen=True)
class Assumptions:
    """Prices in dollars; kilobytes of a JPEG at quality 90; `lost`: share of the work that is done twice."""

    pairs: int = 100_000_000
    per_shard: int = 10_000
    workers: int = 1024
    per_core_hour: float = 0.0446  # of a virtual core, on demand
    per_spot_hour: float = 0.018  # the same, where machines may vanish
    per_1000_writes: float = 0.005
    per_1000_reads: float = 0.0004
    per_gb_month: float = 0.023
    lost: float = 0.05


KILOBYTES = {"144x144": 8, "256x256": 22, "512x384": 62, "1024x768": 210}


def plan(pixels: str, milliseconds: float, given: Assumptions) -> dict[str, float | str]:
    """The needs of a set whose pictures all have one size."""
    shards = math.ceil(given.pairs / given.per_shard)
    shard_bytes = given.per_shard * (KILOBYTES[pixels] * 1000 + 2048)
    hours = given.pairs * milliseconds / 3.6e6 * (1 + given.lost)
    blocks = math.ceil(shard_bytes / BLOCK)
    reads = shards * (blocks + 6)  # the shard, its parquet twice, its marker twice, what is looked at before
    writes = shards * (blocks + 2 + 4)  # the parts of the tar with their begin and end, and four small files
    requests = (writes * given.per_1000_writes + reads * given.per_1000_reads) / 1000
    return {
        "picture": pixels,
        "ms a picture": round(milliseconds, 1),
        "shards": shards,
        "MB a shard": round(shard_bytes / 1e6),
        "core-hours": round(hours),
        f"hours on {given.workers} cores": round(hours / given.workers, 1),
        "memory of all workers, GB": round(given.workers * MEMORY),
        "scratch a worker, GB": round(SCRATCH * shard_bytes / 1e9, 1),
        "requests, millions": round((reads + writes) / 1e6, 2),
        "requests, $": round(requests),
        "cores on demand, $": round(hours * given.per_core_hour),
        "cores as spot, $": round(hours * given.per_spot_hour),
        "storing OUT for a month, $": round(shards * shard_bytes / 1e9 * given.per_gb_month),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=Assumptions.pairs, help="pairs in all (100000000)")
    parser.add_argument("--workers", type=int, default=Assumptions.workers, help="cores at work (1024)")
    arguments = parser.parse_args()
    given = Assumptions(pairs=arguments.pairs, workers=arguments.workers)
    measured = json.loads((RESULTS / "phase2_speed.json").read_text())
    rows = [plan(row["pixels"], row["ours"], given) for row in measured["result"] if row["pixels"] in KILOBYTES]
    source = {"file": "benchmarks/results/phase2_speed.json", "commit": measured["about"]["commit"]}
    save("scale_plan", {**asdict(given), "kilobytes": KILOBYTES, "measured": source}, rows)
    print(table([{"": name, **{str(row["picture"]): row[name] for row in rows}} for name in list(rows[0])[1:]]))


if __name__ == "__main__":
    main()
