"""How fast the verifier's attackers train on one thread, and how little of that is not the model.

    python benchmarks/training_speed.py

Trains each attacker on collage-64 at 64 px through open_clip's training view, as `protect verify` does, in fp32 and
bf16, and says which of the two `--precision auto` takes here. Seconds are those of the processor, so that other work
hardly counts: per 1,000 pairs and epoch (median of the epochs after the first). Data is what is not the training
step: pictures read and cropped, captions drawn, tensors stacked. Judging is per 1,000 test pairs.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import torch
from common import DATA, ROOT, save, table

from protect.clip.device import autocast_type, use_precision
from protect.settings.verify import VerifySettings
from protect.verify.attackers.judging import Judge
from protect.verify.attackers.train import train
from protect.verify.defences import DEFENCES, Defence, StepInputs
from protect.verify.reading.pairs import JudgedPairs, Pairs, read_judged, read_pairs
from protect.verify.records import EpochResult

TRAIN = str(DATA / "collage-64/train/00000.tar")
TEST = str(DATA / "collage-64/test")
SIZE = 64


class Timed(Defence):
    """Plain training that adds up how long its steps take."""

    seconds = 0.0

    def step(self, optimizer: torch.optim.Optimizer, inputs: StepInputs) -> torch.Tensor:
        begin = process_time()
        loss = super().step(optimizer, inputs)
        Timed.seconds += process_time() - begin
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
    cpu = torch.device("cpu")
    about = vars(settings) | {"size": SIZE, "auto precision": "fp32" if autocast_type(cpu) is None else "bf16"}
    rows = []
    for name in settings.attackers.split(","):
        for precision in ("fp32", "bf16"):
            use_precision(cpu, precision)
            rows.append({"attacker": name, "precision": precision} | measure(name, pairs, test, settings))
    print(table(rows), f"--precision auto takes {about['auto precision']} here", sep="\n\n")
    print(Path(save("training_speed", about, rows)).relative_to(ROOT))


def measure(name: str, pairs: Pairs, test: JudgedPairs, settings: argparse.Namespace) -> dict[str, Any]:
    recipe = VerifySettings(attackers=(name,), epochs=settings.epochs, size=SIZE, augment=settings.view, device="cpu")
    trained = len(pairs) // recipe.batch * recipe.batch / 1000
    epochs = list(epochs_of(name, pairs, test, recipe))[1:]
    whole, steps, judging = (median(column) for column in zip(*epochs, strict=True))
    return {
        "s per 1,000 pair-epochs": round(whole / trained, 2),
        "of it data %": round(100 * (1 - steps / whole), 1),
        "s a step of 128": round(steps / (len(pairs) // recipe.batch), 3),
        "judging s": round(judging / len(test) * 1000, 2),
    }


def epochs_of(
    name: str, pairs: Pairs, test: JudgedPairs, recipe: VerifySettings
) -> Iterator[tuple[float, float, float]]:
    """Seconds of each epoch, of its steps, and of the judging after it."""
    judging = 0.0

    def result(judge: Judge, epoch: int, loss: float | None, seconds: float) -> EpochResult:
        nonlocal judging
        begin = process_time()
        judged = judge_result(judge, epoch, loss, seconds)
        judging = process_time() - begin
        return judged

    judge_result, Judge.result = Judge.result, result  # type: ignore[method-assign]
    try:
        results = train(pairs, test, name, recipe, seed=0, defence="timed")
        next(results)
        begin, before = process_time(), Timed.seconds
        for _ in results:
            yield process_time() - begin - judging, Timed.seconds - before, judging
            begin, before = process_time(), Timed.seconds
    finally:
        Judge.result = judge_result  # type: ignore[method-assign]


if __name__ == "__main__":
    main()
