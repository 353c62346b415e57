"""How fast the verifier's attackers train on one thread, and how little of that is not the model.

    python benchmarks/training_speed.py

Trains each attacker on collage-64 at 64 px through open_clip's training view, as `protect verify` does. Seconds are
per 1,000 pairs and epoch (median of the epochs after the first), data is what is not the training step: pictures
read and cropped, captions drawn, tensors stacked. Judging is per 1,000 test pairs.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch
from common import DATA, ROOT, save, table

from protect.clip.device import autocast_type
from protect.settings.verify import VerifySettings
from protect.verify.attackers.train import train
from protect.verify.defences import DEFENCES, Defence, StepInputs
from protect.verify.reading.pairs import JudgedPairs, Pairs, read_judged, read_pairs

TRAIN = str(DATA / "collage-64/train/00000.tar")
TEST = str(DATA / "collage-64/test")
SIZE = 64


class Timed(Defence):
    """Plain training that adds up how long its steps take."""

    seconds = 0.0

    def step(self, optimizer: torch.optim.Optimizer, inputs: StepInputs) -> torch.Tensor:
        begin = perf_counter()
        loss = super().step(optimizer, inputs)
        Timed.seconds += perf_counter() - begin
        return loss


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--attackers", default="tiny-resnet,tiny-vit,tiny-hf")
    parser.add_argument("--pairs", type=int, default=512)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--view", default="openclip")
    parser.add_argument("--threads", type=int, default=1)
    settings = parser.parse_args()
    if settings.epochs < 2:
        parser.error("--epochs: expected at least 2, the first one warms up")
    torch.set_num_threads(settings.threads)
    DEFENCES["timed"] = Timed
    pairs, test = read_pairs([TRAIN], SIZE, settings.pairs), read_judged([TEST], SIZE, settings.pairs)
    rows = [measure(name, pairs, test, settings) for name in settings.attackers.split(",")]
    print(table(rows))
    about = vars(settings) | {"size": SIZE, "precision": str(autocast_type(torch.device("cpu")) or torch.float32)}
    print(Path(save("training_speed", about, rows)).relative_to(ROOT))


def measure(name: str, pairs: Pairs, test: JudgedPairs, settings: argparse.Namespace) -> dict[str, Any]:
    recipe = VerifySettings(attackers=(name,), epochs=settings.epochs, size=SIZE, augment=settings.view, device="cpu")
    trained = len(pairs) // recipe.batch * recipe.batch / 1000
    epochs = list(epochs_of(name, pairs, test, recipe))[1:]
    whole, steps, judging = (median(column) for column in zip(*epochs, strict=True))
    return {
        "attacker": name,
        "s per 1,000 pair-epochs": round(whole / trained, 2),
        "of it data %": round(100 * (1 - steps / whole), 1),
        "s a step of 128": round(steps / (len(pairs) // recipe.batch), 3),
        "judging s": round(judging / len(test) * 1000, 2),
    }


def epochs_of(
    name: str, pairs: Pairs, test: JudgedPairs, recipe: VerifySettings
) -> Iterator[tuple[float, float, float]]:
    """Seconds of each epoch, of its steps, and of the judging after it."""
    results = train(pairs, test, name, recipe, seed=0, defence="timed")
    next(results)
    begin, before = perf_counter(), Timed.seconds
    for result in results:
        now = perf_counter()
        yield result.seconds, Timed.seconds - before, now - begin - result.seconds
        begin, before = perf_counter(), Timed.seconds


if __name__ == "__main__":
    main()
