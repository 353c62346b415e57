"""What attackers learn from files of `protect photos`: collage-64 as photos in folders, captions in `.txt` sidecars.

    python benchmarks/photos_strength.py

Protects the first 8,000 pairs with the protector that comes with the tool, mask and quality floor included, then
trains an attacker of each family on the files as written. A killed run goes on where it was; `--only-table` shows
what is there.
"""

import argparse
import json
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

from common import ROOT, RUNS, protect, save, table
from strength import ATTACKERS, CLEAN, TEST, rows_of

from protect.data.shards import find_shards
from protect.jobs.photos.records import read_records

KEY = 1
ALONE = ("--countermeasures", "none", "--mix", "1", "--jobs", "1")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=8000, help="pairs")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--strength", default="balanced")
    parser.add_argument("--attackers", default=",".join(ATTACKERS))
    parser.add_argument("--only-files", action="store_true", help="protect, and train nobody yet")
    parser.add_argument("--only-table", action="store_true", help="no work, the table of what is there")
    settings = parser.parse_args()
    folder = RUNS / f"photos_strength-{settings.limit}-{settings.epochs}"
    clean, out, cost = folder / "clean", folder / settings.strength, folder / f"{settings.strength}.making.json"
    attackers = settings.attackers.split(",")
    if not settings.only_table:
        make(clean, out, cost, settings)
        for attacker in () if settings.only_files else attackers:
            recipe = ("--test", TEST, "--attackers", attacker, "--epochs", settings.epochs, *ALONE)
            protect("verify", clean, out, "--out", report_of(folder, settings, attacker), *recipe)
    made = {**json.loads(cost.read_text()), **looks_of(out)}
    print(table([made]))
    kept = [report_of(folder, settings, attacker) / "runs.jsonl" for attacker in attackers]
    rows = [row for path in kept if path.exists() for row in rows_of(path, "protected")]
    if rows:
        print(table(rows))
        print(save("photos_strength", vars(settings), {"rows": rows, "photos": made}).relative_to(ROOT))


def report_of(folder: Path, settings: argparse.Namespace, attacker: str) -> Path:
    return folder / f"{settings.strength}-{attacker}"


def make(clean: Path, out: Path, cost: Path, settings: argparse.Namespace) -> None:
    """The pairs as files, and the same protected; goes on where it was."""
    if not clean.exists():
        part = clean.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        for name, data in pairs(settings.limit):
            path = part / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        part.rename(clean)
    if not cost.exists():
        made = protect("photos", clean, out, "--strength", settings.strength, "--seed", KEY, "--quiet")
        cost.write_text(json.dumps({"peak_mb": made["peak_mb"]}))


def pairs(limit: int) -> Iterator[tuple[str, bytes]]:
    """SHARD/KEY.jpg and SHARD/KEY.txt of so many pairs."""
    keys = set[str]()
    for shard in find_shards([CLEAN]):
        with tarfile.open(shard) as tar:
            for member in tar:
                stem, _, extension = member.name.partition(".")
                if extension not in ("jpg", "txt"):
                    continue
                keys.add(stem)
                if len(keys) > limit:
                    return
                file = tar.extractfile(member)
                assert file is not None, member.name
                yield f"{Path(shard).stem}/{member.name}", file.read()


def looks_of(out: Path) -> dict[str, Any]:
    records = [record for record in read_records(out).values() if record.status == "protected"]
    return {
        "photos": len(records),
        "seconds": fmean(record.seconds for record in records),
        "psnr": fmean(record.psnr for record in records),
        "ssim": fmean(record.ssim for record in records),
        "epsilon": fmean(record.epsilon for record in records),
        "lowered": sum(record.lowered for record in records),
    }


if __name__ == "__main__":
    main()
