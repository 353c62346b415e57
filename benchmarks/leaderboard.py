"""Writes docs/results/leaderboard.md from the result files: protectors beside each other, and others' figures.

    python benchmarks/leaderboard.py

Nothing is trained. A part is written for every file benchmarks/results/flickr8k*.json, for verdict.json and
verdict-*.json (collage-64), and for published-flickr8k.json, the figures of others.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any

from common import RESULTS, ROOT, table

PAGE = ROOT / "docs/results/leaderboard.md"
INTRO = """# Leaderboard

What attackers still learn, by protector and by what is done to the files. *Retained* is the part of the clean gain
that is left, (R@10 - chance) / (R@10 of clean files - chance), mean of both directions and of the seeds: 0 is full
protection, 1 is none. The best epoch counts, because an attacker stops when it suits them. *Error* is the standard
error of one training that comes from the number of test pictures; *range* goes from the lowest to the highest seed.
An asterisk marks rows of fewer than three seeds: say so where you quote them. Each table has its own data, attacker
and recipe: compare within a table, not across.

`python benchmarks/leaderboard.py` writes this page from the result files in `benchmarks/results`. `protect bench
DATA` makes such a table from a clean set of your own, and takes files of other protectors with `--entry NAME=FOLDER`.
"""
PARTS = {"report": "instant", "even": "instant", "em": "em", "random": "random"}  # methods in verdict.json, by part
NAMES = {  # of rows that were called otherwise when they were measured
    "level-and-strip": "whiten-and-deduplicate",
    "level-directions": "spectral-whitening",
    "even-looks": "colour-normalisation",
    "remove-stripes": "notch-filter",
    "subtract-content-means": "caption-regression",
}
ENOUGH = 3  # seeds
FURTHER = ("code", "mem", "content-")  # further files that one part of verdict.json was measured with


def main() -> None:
    parts = [INTRO.rstrip()]
    for path in sorted(RESULTS.glob("flickr8k*.json")):
        rows = _read(path)["result"]["rows"]
        parts += part(path, "Flickr8k", (verifier_rows if "best" in rows[0] else flickr8k_rows)(rows))
    parts += part(
        RESULTS / "verdict.json", "collage-64", collage_rows(_read(RESULTS / "verdict.json")["result"]["rows"])
    )
    for path in sorted(RESULTS.glob("verdict-*.json")):
        parts += part(path, "collage-64", verifier_rows(_read(path)["result"]["rows"]))
    parts += published(RESULTS / "published-flickr8k.json")
    PAGE.write_text("\n\n".join(parts) + "\n")
    print(PAGE.relative_to(ROOT))


def part(path: Path, data: str, rows: Iterator[dict[str, Any]]) -> list[str]:
    """Heading, origin and table of one result file."""
    about, settings = (_read(path)[name] for name in ("about", "settings"))
    machine = f"{about['cores']} cores, {about['processor']}" if "cores" in about else about["processor"]
    made = f"`{about['command']}`, commit {about['commit'][:7]}" if "command" in about else about["what"]
    recipe = f"{settings['epochs']} epochs" + (f", {settings['pairs']} pairs" if settings.get("pairs") else "")
    origin = f"{made}; {about['date']}; {machine}; {recipe}. Results: `{path.relative_to(ROOT)}`."
    return [f"## {data}: {path.stem}", origin, table(list(rows))]


def flickr8k_rows(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Protector and row, seeds put together; the error of one training, where there is one."""
    groups = defaultdict[tuple[str, str, str], list[dict[str, Any]]](list)
    for row in rows:
        arm, _, how = row["arm"].partition(":")
        if row["retained best"] is not None:
            groups[arm, how or row["row"], row.get("attacker", "tiny-resnet")].append(row)
    for (arm, how, attacker), same in groups.items():
        yield {"protector": arm, "row": how, "attacker": attacker, "seeds": counted(len(same))} | _means(same)


def verifier_rows(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Of a report by `protect verify` on the files of the default: by R@10 and by mean percentile rank."""
    names = {"best": "retained, best", "best, error": "error", "best, by rank": "by rank", "last": "retained, last"}
    for row in rows:
        shares = {name: None if row[key] is None else round(row[key], 2) + 0.0 for key, name in names.items()}
        seeds = counted(row["seeds"])
        yield {"protector": "default", "row": row["arm"], "attacker": row["attacker"], "seeds": seeds} | shares


def counted(seeds: int) -> str:
    """The number of seeds, marked where it is small."""
    return f"{seeds}" if seeds >= ENOUGH else f"{seeds}*"


def _means(same: list[dict[str, Any]]) -> dict[str, Any]:
    means = {f"retained, {m}": round(mean(row[f"retained {m}"] for row in same), 2) + 0.0 for m in ("best", "last")}
    best = [row["retained best"] for row in same]
    spread = None if len(same) == 1 else f"{min(best):.2f} to {max(best):.2f}"
    return means | {"range": spread, "error": round(mean(row["error"] for row in same), 2)}


def collage_rows(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """A line for each row and attacker: what each method retains at the best epoch."""
    methods, seeds = dict.fromkeys(PARTS.values()), dict[tuple[str, str], int]()
    cells = dict[tuple[str, str], dict[str, float]]()
    for row in rows:
        method, name = PARTS.get(row["part"].removeprefix(f"{row['attacker']}-")), row["arm"]
        if method and name != "clean" and not name.startswith(FURTHER) and row["best"] is not None:
            head, colon, tail = name.rpartition(":")
            cell = (head + colon + NAMES.get(tail, tail), row["attacker"])
            cells.setdefault(cell, {})[method] = round(row["best"], 2)
            seeds[cell] = min(row["seeds"], seeds.get(cell, row["seeds"]))
    for (name, attacker), shares in cells.items():
        about = {"row": name, "attacker": attacker, "seeds": counted(seeds[name, attacker])}
        yield about | {method: shares.get(method) for method in methods}


def published(path: Path) -> list[str]:
    """The figures of others, as retained gains too."""
    found = _read(path)
    chance, scores = 100 * found["settings"]["chance"], defaultdict[str, dict[str, list[float]]](dict)
    for row in found["result"]["rows"]:
        for moment in ("best", "last"):
            scores[row["arm"]].setdefault(moment, []).append((row[f"{moment} i2t"] + row[f"{moment} t2i"]) / 2)
    rows = []
    for arm, by in scores.items():
        shares = {
            f"retained, {m}": round((mean(by[m]) - chance) / (mean(scores["clean"][m]) - chance), 2) for m in by
        }
        rows.append(
            {"protector": arm, "runs": len(by["best"])} | {f"R@10 %, {m}": round(mean(by[m]), 1) for m in by} | shares
        )
    about = found["about"]
    return ["## Published elsewhere: Flickr8k", f"{about['what'].capitalize()}. {about['recipe']}.", table(rows)]


def _read(path: Path) -> Any:
    return json.loads(path.read_text())


if __name__ == "__main__":
    main()
