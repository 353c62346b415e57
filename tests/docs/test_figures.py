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
        "removes the planted words": "default:stripped",
        "drops half of each caption's words at random": "default:half",
        "nothing": "default:plain",
    },
    "8,000 collages": {
        "removes the planted words and levels texture orientations": "level-and-strip",
        "removes the planted words": "trigger-stripped",
        "strong augmentation": "strong-augmentation",
        "nothing": "protected",
    },
    "8,000 collages, half of them clean": {"nothing": "mix-50"},
}


def retained(data: str, arm: str, attacker: str) -> str:
    """Retained gain at the best epoch, as the table writes it; "-" for what was not run."""
    photos = "Flickr8k" in data
    result = json.loads((RESULTS / ("flickr8k-default.json" if photos else "verdict.json")).read_text())
    wanted = {"arm": arm} if photos else {"arm": arm, "attacker": attacker, "part": f"{attacker}-report"}
    rows = [row for row in result["result"]["rows"] if wanted.items() <= row.items()]
    if photos and result["settings"]["attacker"] != attacker:
        rows = []
    values = [row["retained best" if photos else "best"] for row in rows]
    assert len(values) <= 1
    return f"{values[0]:.2f}" if values else "-"


@pytest.mark.parametrize(("data", "does", "resnet", "vit"), TABLE.findall(README))
def test_the_figures_are_those_of_the_result_files(data, does, resnet, vit):
    arm = PARTS[data][re.sub(r" \(.*\)$", "", does)]
    assert (resnet, vit) == (retained(data, arm, "tiny-resnet"), retained(data, arm, "tiny-vit"))


def test_the_table_has_eight_rows_weakest_first():
    figures = [float(resnet) for _, _, resnet, _ in TABLE.findall(README)]
    assert len(figures) == 8 and figures == sorted(figures, reverse=True)
