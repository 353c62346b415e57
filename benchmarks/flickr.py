"""The verifier's report on flickr8k-mini: 800 real photos with five captions each, and what so few can show.

    python benchmarks/flickr.py

Protects all pairs with the default method; the verifier holds a tenth of them out. The test is small (chance is high)
and 720 pairs teach a model from scratch next to nothing, so the training losses are printed too: how soon a rule is
found does not hang on the test. A killed run goes on where it was.
"""

import argparse
import json

from common import DATA, ROOT, RUNS, protect, save, table
from verdict import METHODS, make, rows_of, runs_of

CLEAN = str(DATA / "flickr8k-mini")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--attackers", default="tiny-resnet")
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--rows", default="jpeg-75", help="countermeasures")
    settings = parser.parse_args()
    folder = RUNS / "flickr"
    published, out = folder / "with-words", folder / "with-words-report"
    make(published, METHODS["instant"], CLEAN)
    recipe = ("--epochs", settings.epochs, "--seeds", settings.seeds, "--mix", 1, "--jobs", 1)
    asked = ("--attackers", settings.attackers, "--countermeasures", settings.rows)
    protect("verify", CLEAN, published, "--out", out, *asked, *recipe)
    details = json.loads((out / "details.json").read_text())
    rows = [{**row, "losses": losses(details, row)} for row in rows_of(details)]
    print(table(rows))
    print(save("flickr", vars(settings), {"rows": rows, "chance": details["chance"]}).relative_to(ROOT))


def losses(details: dict, row: dict) -> list[float]:
    """Mean training loss of the first seed at a sixth, a third, ... of the epochs."""
    epochs = [epoch["loss"] for epoch in runs_of(details, row)[0]["epochs"][1:]]
    every = max(1, len(epochs) // 6)
    return [round(loss, 2) for loss in epochs[every - 1 :: every]]


if __name__ == "__main__":
    main()
