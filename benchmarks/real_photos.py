"""`protect shards` on 800 real photos, by method: time, memory, distortion, words surviving.

python benchmarks/real_photos.py [--methods content,code,random,mem]
"""

import argparse
import json
import shutil

from common import DATA, ROOT, RUNS, protect, save, table
from strength import distortion_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", default="content,code,random,mem")
    parser.add_argument("--name", default="real_photos")
    settings = parser.parse_args()
    rows = []
    for method in settings.methods.split(","):
        out = RUNS / settings.name / method
        shutil.rmtree(out, ignore_errors=True)
        out.parent.mkdir(parents=True, exist_ok=True)
        cost = protect("shards", DATA / "flickr8k-mini", out, "--method", method, "--urls", "strip")
        stats = [json.loads(path.read_text()) for path in sorted(out.glob("*_stats.json"))]
        pairs = sum(s["protected"] for s in stats)
        rows.append({"method": method, "pairs": pairs, **cost, **distortion_of(out)})
    print(table(rows))
    print(save(settings.name, vars(settings) | {"data": "flickr8k-mini"}, rows).relative_to(ROOT))


if __name__ == "__main__":
    main()
