"""What a receipt can prove: false alarms, and power by number of pairs, share of the training set and epochs.

    python benchmarks/receipt.py --data collage-64
    python benchmarks/receipt.py --data flickr8k --name receipt-flickr8k

Protects pairs with a receipt, trains a small CLIP on the published twins among other, clean pairs, and asks it after
some epochs which twins it knows. False alarms are counted with coins drawn anew: with other coins a model is
innocent, whatever it was trained on. The model of one cell is saved, made to forget its published pairs by `protect
unlearn`, and asked before and after as `protect audit` asks.
"""

import argparse
import io
import shutil
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import flickr8k
import numpy as np
import torch
from common import DATA, ROOT, RUNS, protect, save, table
from PIL import Image

from protect.clip.device import choose_device, use_precision
from protect.clip.models import load_encoder, optimizer
from protect.data.window import to_images
from protect.jobs.receipt.asking import differences
from protect.jobs.receipt.evidence import any_time_p, evidence, rank_p
from protect.jobs.receipt.store import read_pairs
from protect.unlearn.checkpoint import load_model, save_model
from protect.unlearn.head import Clip
from protect.unlearn.pairs import read_pairs as read_shards
from protect.verify.countermeasures.augmentation import VIEWS

MINE = {"collage-64": ("00000.tar",), "flickr8k": ("00000.tar", "00001.tar")}  # shards with 1,000 pairs
SIDE = 64  # pixels a side of the files
ALPHA, BATCH, RATE = 0.05, 128, 1e-3
COUNTS = (20, 50, 100, 200, 500, 1000)  # published pairs in the receipt
STEPS = 100  # of the forgetting
COINED = 200  # pairs of a receipt whose coins are drawn anew
DRAWS = 50  # receipts of each number, drawn from the whole one
Pair = tuple[Image.Image, str]


@dataclass(frozen=True)
class Cell:
    """A training set: so many published pairs among so many, and the epochs after which its model is asked."""

    mine: int
    pairs: int
    epochs: tuple[int, ...]

    @classmethod
    def of(cls, text: str) -> "Cell":
        mine, pairs, epochs = text.split("/")
        return cls(int(mine), int(pairs), tuple(map(int, epochs.split(","))))

    @property
    def share(self) -> float:
        """Per cent of the training set."""
        return round(100 * self.mine / self.pairs, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=tuple(MINE), default="collage-64")
    parser.add_argument(
        "--cells",
        nargs="+",
        default=["1000/1000/5,10,20", "100/1000/5,10,20", "50/5000/3,6", "0/1000/20"],
        metavar="PUBLISHED/PAIRS/EPOCHS",
    )
    parser.add_argument("--attacker", default="tiny-resnet")
    parser.add_argument("--method", default="instant")
    parser.add_argument("--style", default="prefix", help="how the words are written")
    parser.add_argument("--size", type=int, default=32, help="pixels a side that the attacker takes")
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--coins", type=int, default=2000, help="sets of coins drawn anew")
    parser.add_argument("--forget", type=int, default=100, help="of the cell with so many the model forgets them")
    parser.add_argument("--name", default="receipt", help="of the result file")
    settings = parser.parse_args()
    use_precision(choose_device("cpu"), settings.precision)
    work = RUNS / "receipt" / settings.data
    others = shards(settings, work)
    twins = list(read_pairs(work / "receipt"))
    published = [(pair.pictures[pair.published], pair.captions[pair.published]) for pair in twins]
    result: dict[str, Any] = {"power": [], "false alarms": [], "unlearned": None}
    for cell in map(Cell.of, settings.cells):
        pairs = [*published[: cell.mine], *clean(others, cell.pairs - cell.mine)]
        for epoch, model in trained(pairs, cell.epochs, settings):
            found = np.array(differences(model, twins[: cell.mine] or twins))
            result["power"] += power(cell, epoch, found)
            print(table(result["power"]), flush=True)
        if len(found) >= COINED:
            result["false alarms"].append({"published": cell.mine, "of": cell.pairs, **alarms(found, settings.coins)})
            print(table(result["false alarms"]), flush=True)
        save(settings.name, vars(settings), result)  # what is there when a later cell is stopped
        if cell.mine == settings.forget and cell.pairs > cell.mine:
            result["unlearned"] = unlearned(model, pairs, cell, work, settings)
            print(result["unlearned"], flush=True)
    print(save(settings.name, vars(settings), result).relative_to(ROOT))


def shards(settings: argparse.Namespace, work: Path) -> list[str]:
    """Protects some shards with a receipt; returns the others. Every picture has one caption."""
    source = DATA / settings.data / "train"
    if settings.data == "flickr8k":
        source = work / "clean"
        flickr8k.copy(DATA / "flickr8k/train", source, captions=1)
    mine = [str(source / name) for name in MINE[settings.data]]
    others = sorted(str(path) for path in source.glob("*.tar") if path.name not in MINE[settings.data])
    if not (work / "receipt").exists():
        shutil.rmtree(work / "out", ignore_errors=True)
        asked = ("--seed", 1, "--method", settings.method, "--trigger-style", settings.style, "--size", SIDE)
        protect("shards", *mine, work / "out", *asked, "--receipt", work / "receipt", "--quiet")
    return others


def clean(shards: Sequence[str], count: int) -> list[Pair]:
    """So many unprotected pairs."""
    if not count:
        return []
    found = read_shards(shards, SIDE, count)
    pictures = [Image.fromarray(pixels.transpose(1, 2, 0)) for pixels in found.pixels]
    return [(picture, captions[0]) for picture, captions in zip(pictures, found.captions, strict=True)]


def trained(pairs: Sequence[Pair], epochs: Sequence[int], settings: argparse.Namespace) -> Iterator[tuple[int, Clip]]:
    """A model trained from scratch on these pairs, after each number of epochs."""
    torch.manual_seed(0)
    model = Clip(load_encoder(settings.attacker, torch.device("cpu"), size=settings.size))
    steps, look = len(pairs) // BATCH, VIEWS["openclip"](settings.size)
    adamw = optimizer(model, RATE, 0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(adamw, RATE, total_steps=steps * epochs[-1])
    for epoch in range(1, epochs[-1] + 1):
        model.train()
        for chosen in torch.randperm(len(pairs))[: steps * BATCH].view(steps, BATCH).tolist():
            views = np.stack([np.asarray(look(pairs[i][0])) for i in chosen])
            images = to_images(torch.from_numpy(views).permute(0, 3, 1, 2))
            loss = model.parts_loss(images, [pairs[i][1] for i in chosen])
            adamw.zero_grad()
            loss.backward()
            adamw.step()
            schedule.step()
        print(f"epoch {epoch}: loss {loss.item():.3f}", flush=True)
        if epoch in epochs:
            yield epoch, model


def unlearned(model: Clip, pairs: Sequence[Pair], cell: Cell, work: Path, settings: argparse.Namespace) -> Any:
    """What a receipt says of a model before and after it was made to forget the published pairs."""
    weights, forgotten = work / "model", work / "forgotten"
    save_model(model, weights)
    shutil.rmtree(forgotten, ignore_errors=True)
    asked = ("--weights", weights, "--size", settings.size, "--precision", settings.precision, "--steps", STEPS)
    sets = ("--forget", _shard(work / "forget.tar", pairs[: cell.mine]), "--retain")
    kept = _shard(work / "retain.tar", pairs[cell.mine :])
    protect("unlearn", settings.attacker, *asked, *sets, kept, "-o", forgotten, "--quiet")
    found = {}
    for name, place in (("before", weights), ("after", forgotten)):
        clip = load_model(settings.attacker, str(place), torch.device("cpu"), "auto", settings.size)
        twins = list(read_pairs(work / "receipt"))[: cell.mine]
        found[name] = asdict(evidence(differences(clip, twins), ALPHA))
    return found


def _shard(path: Path, pairs: Sequence[Pair]) -> Path:
    """A shard with these pairs, pictures as PNG."""
    with tarfile.open(path, "w") as tar:
        for number, (picture, caption) in enumerate(pairs):
            png = io.BytesIO()
            picture.save(png, "PNG")
            for ending, data in (("png", png.getvalue()), ("txt", caption.encode())):
                member = tarfile.TarInfo(f"{number:06}.{ending}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return path


def power(cell: Cell, epoch: int, found: np.ndarray) -> Iterator[dict[str, Any]]:
    """How often a receipt of so many pairs tells that its files were used."""
    random = np.random.default_rng(0)
    for count in [count for count in COUNTS if count < len(found)] + [len(found)]:
        draws = [random.choice(found, count, replace=False) for _ in range(1 if count == len(found) else DRAWS)]
        told = [rank_p(values) <= ALPHA for values in draws]
        stopped = [any_time_p(values)[-1] <= ALPHA for values in draws]
        yield {
            "published": cell.mine,
            "of": cell.pairs,
            "share %": cell.share,
            "epochs": epoch,
            "pairs": count,
            "wins %": round(100 * float(np.mean(found > 0)), 1),
            "receipts": len(draws),
            "proved %": round(100 * float(np.mean(told)), 1),
            "proved at any time %": round(100 * float(np.mean(stopped)), 1),
            "p": rank_p(found),
        }


def alarms(found: np.ndarray, coins: int) -> dict[str, Any]:
    """How often coins drawn anew look as if the model had seen the files."""
    random = np.random.default_rng(1)
    told = stopped = 0
    for _ in range(coins):
        values = np.abs(random.choice(found, COINED, replace=False))
        values = values * (2 * random.integers(0, 2, len(values)) - 1)
        told += rank_p(values) <= ALPHA
        stopped += any_time_p(values)[-1] <= ALPHA
    return {"coins": coins, "alarms %": 100 * told / coins, "alarms at any time %": 100 * stopped / coins}


if __name__ == "__main__":
    main()
