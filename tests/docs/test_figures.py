"""The figures in README's table are those of the benchmarks' result files."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
README = (ROOT / "README.md").read_text(encoding="utf-8")
TABLE = re.compile(r"^\| (\d[^|]+) \| ([^|]+) \| ([\d.]+) \| ([\d.]+|-) \|$", re.MULTILINE)
PARTS = {  # what a row of the table says, and the row of the verifier that it shows
    "6,491 Flickr8k photos": {
        "removes the planted words and evens out colours": "normalise-and-deduplicate",
        "removes the planted words": "trigger-stripped",
        "drops half of each caption's words at random": "half-words",
        "nothing": "protected",
    },
    "6,491 Flickr8k photos, half of them clean": {"nothing": "mix-50"},
    "8,000 collages": {
        "removes the planted words and levels texture orientations": "whiten-and-deduplicate",
        "removes the planted words": "trigger-stripped",
        "nothing": "protected",
    },
}


# result files by data and attacker: the first that has the row
FILES = {
    ("photos", "tiny-resnet"): ("flickr8k-verdict-seeds", "flickr8k-verdict"),
    ("photos", "tiny-vit"): ("flickr8k-verdict-vit",),
    ("collages", "tiny-resnet"): ("verdict-default",),
    ("collages", "tiny-vit"): ("verdict",),
}
EARLIER = {"level-and-strip": "whiten-and-deduplicate"}  # names in verdict.json


def rows_of(name: str) -> list[dict]:
    return json.loads((RESULTS / f"{name}.json").read_text())["result"]["rows"]


def retained(data: str, arm: str, attacker: str) -> str:
    """Retained gain at the best epoch, as the table writes it; "-" for what was not run."""
    for name in FILES["collages" if "collages" in data else "photos", attacker]:
        for row in rows_of(name):
            reported = row.get("part", f"{attacker}-report") == f"{attacker}-report"
            if reported and (EARLIER.get(row["arm"], row["arm"]), row["attacker"]) == (arm, attacker):
                return f"{row['best']:.2f}"
    return "-"


@pytest.mark.parametrize(("data", "does", "resnet", "vit"), TABLE.findall(README))
def test_the_figures_are_those_of_the_result_files(data, does, resnet, vit):
    arm = PARTS[data][re.sub(r" \(.*\)$", "", does)]
    assert (resnet, vit) == (retained(data, arm, "tiny-resnet"), retained(data, arm, "tiny-vit"))


def test_the_table_has_eight_rows_weakest_first():
    figures = [float(resnet) for _, _, resnet, _ in TABLE.findall(README)]
    assert len(figures) == 8 and figures == sorted(figures, reverse=True)
