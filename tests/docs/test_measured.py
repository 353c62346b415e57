"""The table of `protect check` is that of the result file."""

import json
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_rows_of_the_verdict_are_those_that_were_measured():
    measured = json.loads((ROOT / "protect/jobs/check/measured.json").read_text())
    stored = json.loads((ROOT / "benchmarks/results/platforms.json").read_text())
    assert measured["rows"] == stored["result"]["rows"]
