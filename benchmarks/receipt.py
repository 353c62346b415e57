"""What a receipt can prove: false alarms, and power by number of pairs, share of the training set and epochs.

    python benchmarks/receipt.py

Protects collages with a receipt, trains a small CLIP on the published twins among other, clean pairs, and asks it
after some epochs. False alarms are counted with coins drawn anew, for a model that saw none of the files and for one
that saw them all: with other coins both are innocent.
"""

import argparse
import shutil
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from common import DATA, ROOT, RUNS, protect, save, table
from PIL import Image

from protect.clip.models import load_encoder, optimizer
from protect.data.pictures import view_of
from protect.data.window import to_images
from protect.jobs.receipt.asking import differences
from protect.jobs.receipt.evidence import any_time_p, rank_p
from protect.jobs.receipt.store import TwinPair, read_pairs
from protect.unlearn.head import Clip
from protect.unlearn.pairs import Pairs
from protect.unlearn.pairs import read_pairs as read_shards
from protect.verify.countermeasures.augmentation import VIEWS

MINE = "00000.tar"
OTHERS = ("00002.tar",)
RECEIPT, OUT = RUNS / "receipt/receipt", RUNS / "receipt/out"
ALPHA, BATCH, RATE = 0.05, 128, 1e-3
COUNTS = (20, 50, 100, 200, 500, 1000)  # published pairs in the receipt
DRAWS = 40  # receipts of each number, drawn from the whole one
SHUFFLED = 400  # sets of coins


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=1000, help="in the training set")
    parser.add_argument("--shares", default="0,0.1,1", help="of the training set that is published with the receipt")
    parser.add_argument("--epochs", default="4,8,16", help="after which the model is asked")
    parser.add_argument("--attacker", default="tiny-resnet")
    parser.add_argument("--method", default="instant")
    parser.add_argument("--size", type=int, default=32, help="pixels a side that the attacker takes")
    settings = parser.parse_args()
    if not RECEIPT.exists():
        shutil.rmtree(OUT, ignore_errors=True)
        source = DATA / "collage-64/train" / MINE
        protect("shards", source, OUT, "--seed", 1, "--method", settings.method, "--receipt", RECEIPT, "--quiet")
    twins = list(read_pairs(RECEIPT))
    clean = read_shards([str(DATA / "collage-64/train" / name) for name in OTHERS], 64, None)
    rows: list[dict[str, Any]] = []
    alarms: list[dict[str, Any]] = []
    for share in map(float, settings.shares.split(",")):
        mine = twins[: round(share * settings.pairs)]
        for epoch, model in trained(mine, clean, settings):
            found = np.array(differences(model, mine or twins))
            rows += list(power(share, epoch, found)) if mine else []
            print(table(rows) if rows else "", flush=True)
        alarms.append({"share": share, **false_alarms(found)})
        print(table(alarms), flush=True)
    print(save("receipt", vars(settings), {"power": rows, "false alarms": alarms}).relative_to(ROOT))


def trained(mine: Sequence[TwinPair], clean: Pairs, settings: argparse.Namespace) -> Iterator[tuple[int, Clip]]:
    """A model trained from scratch on the published twins and on clean pairs, after each number of epochs."""
    torch.manual_seed(0)
    pictures = [pair.pictures[pair.published] for pair in mine]
    captions = [pair.captions[pair.published] for pair in mine]
    for number in range(settings.pairs - len(mine)):
        pictures.append(Image.fromarray(clean.pixels[number].transpose(1, 2, 0)))
        captions.append(clean.captions[number][0])
    model = Clip(load_encoder(settings.attacker, torch.device("cpu"), size=settings.size))
    epochs = list(map(int, settings.epochs.split(",")))
    steps, look = len(pictures) // BATCH, VIEWS["openclip"](settings.size)
    adamw = optimizer(model, RATE, 0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(adamw, RATE, total_steps=steps * epochs[-1])
    for epoch in range(1, epochs[-1] + 1):
        model.train()
        for chosen in torch.randperm(len(pictures))[: steps * BATCH].view(steps, BATCH).tolist():
            views = np.stack([view_of(look(pictures[i]), settings.size) for i in chosen])
            loss = model.parts_loss(to_images(torch.from_numpy(views)), [captions[i] for i in chosen])
            adamw.zero_grad()
            loss.backward()
            adamw.step()
            schedule.step()
        if epoch in epochs:
            yield epoch, model


def power(share: float, epoch: int, found: np.ndarray) -> Iterator[dict[str, Any]]:
    """How often a receipt of so many pairs tells that its files were used."""
    random = np.random.default_rng(0)
    for count in [count for count in COUNTS if count <= len(found)]:
        draws = [random.choice(found, count, replace=False) for _ in range(1 if count == len(found) else DRAWS)]
        told = [rank_p(values) <= ALPHA for values in draws]
        stopped = [any_time_p(values)[-1] <= ALPHA for values in draws]
        yield {
            "share %": round(100 * share, 1),
            "epochs": epoch,
            "pairs": count,
            "wins %": round(100 * float(np.mean(found > 0)), 1),
            "receipts": len(draws),
            "proved %": round(100 * float(np.mean(told)), 1),
            "proved at any time %": round(100 * float(np.mean(stopped)), 1),
        }


def false_alarms(found: np.ndarray, count: int = 200) -> dict[str, Any]:
    """How often coins drawn anew look as if the model had seen the files."""
    random = np.random.default_rng(1)
    told = stopped = 0
    for _ in range(SHUFFLED):
        values = np.abs(random.choice(found, min(count, len(found)), replace=False))
        values = values * (2 * random.integers(0, 2, len(values)) - 1)
        told += rank_p(values) <= ALPHA
        stopped += any_time_p(values)[-1] <= ALPHA
    return {"coins": SHUFFLED, "alarms %": 100 * told / SHUFFLED, "alarms at any time %": 100 * stopped / SHUFFLED}


if __name__ == "__main__":
    main()
