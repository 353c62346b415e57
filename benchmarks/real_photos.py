"""`protect shards` with its defaults on 800 real photos: time, memory, distortion, words surviving.

python benchmarks/real_photos.py
"""

import json
import shutil

from common import DATA, ROOT, RUNS, protect, save, table
from strength import distortion_of


def main() -> None:
    rows = []
    for name, options in (("code", []), ("random", ["--method", "random"]), ("mem", ["--method", "mem"])):
        out = RUNS / "real_photos" / name
        shutil.rmtree(out, ignore_errors=True)
        out.parent.mkdir(parents=True, exist_ok=True)
        cost = protect("shards", DATA / "flickr8k-mini", out, *options)
        stats = [json.loads(path.read_text()) for path in sorted(out.glob("*_stats.json"))]
        pairs = sum(s["protected"] for s in stats)
        rows.append({"method": name, "pairs": pairs, **cost, **distortion_of(out)})
    print(table(rows))
    print(save("real_photos", {"data": "flickr8k-mini"}, rows).relative_to(ROOT))


if __name__ == "__main__":
    main()
