"""The paper's own data set: what attackers from scratch learn of Flickr8k as protected, by what they do to the files.

    python benchmarks/flickr8k.py [ARM:ROW ...]

Protects a 64 px copy (bicubic, JPEG 95 4:4:4, five captions a picture) with the tool's command line and trains the
verifier's attacker on the written files by one recipe, judged on clean test pictures. A killed run goes on with the
training it was at. Without arguments all of `TABLE` is run: 5 minutes of one core for each training.
"""

import argparse
import io
import json
import tarfile
from collections.abc import Callable, Iterable
from math import sqrt
from pathlib import Path
from typing import Any

from common import DATA, ROOT, RUNS, make, save, table
from PIL import Image

from protect.clip.device import choose_device, use_precision
from protect.data.journal import Journal
from protect.settings.verify import VerifySettings
from protect.verify.attackers.train import train
from protect.verify.countermeasures.text import half, redrawn
from protect.verify.reading.pairs import Pairs, read_judged, read_pairs

FOLDER, SIDE = RUNS / "flickr8k", 64
WORDS = 6  # attribute words, in front and at the end
BOTH = ("--trigger-words", WORDS, "--trigger-style", "both")
UNMASKED = ("--no-mask", "--floor", "none")  # as published: eight 255ths everywhere
FITTED = (
    "--surrogate",
    "tiny-resnet",
    "--rounds",
    4,
    "--surrogate-steps",
    150,
    *UNMASKED,
)  # as many steps as attackers
ARMS: dict[str, tuple[object, ...] | None] = {  # how the pairs are protected; None: they are not
    "clean": None,
    "default": (),
    "colours": ("--method", "instant", "--noise-in", "colours", *BOTH),
    "texture": ("--method", "instant", "--noise-in", "texture", *BOTH),
    "prefix": ("--trigger-style", "prefix"),
    "words": ("--method", "instant", "--epsilon", 0, *BOTH),
    "random": ("--method", "random", *UNMASKED),
    "em": ("--method", "em", *FITTED),
    "mem-3": ("--method", "mem", "--start", "drawn", "--alphabet", "none", "--trigger-words", 3, *FITTED),
    "mem-5": ("--method", "mem", "--start", "drawn", "--alphabet", "none", "--trigger-words", 5, *FITTED),
    "mem": ("--method", "mem", "--surrogate", "tiny-resnet", "--trigger-words", 4),
    "mem-words": (
        "--method",
        "mem",
        "--surrogate",
        "tiny-resnet",
        "--trigger-words",
        4,
        "--text-rounds",
        4,
        "--steps",
        1,
    ),
    **{f"default-{epsilon}": ("--epsilon", epsilon) for epsilon in (4, 12, 16)},
}
PUBLISHED = ("clean", "random", "em", "mem-3", "mem-5")  # the arms of the paper's tables, without augmentation
PROTECTED = 3  # captions that are protected where an attacker has the other two
TABLE = (
    *("clean:plain", "colours:plain", "colours:stripped", "colours:half", "words:half"),
    *("clean:rewritten", "colours:rewritten", "clean:strong", "colours:strong"),
    *(f"{arm}:plain-none" for arm in PUBLISHED),
)
R_AT_10 = ("text_retrieval_recall@10", "image_retrieval_recall@10")
CHANCE = 0.01


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cells", nargs="*", default=TABLE, metavar="ARM:ROW", help="all of TABLE by default")
    parser.add_argument("--attacker", default="tiny-resnet")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--pairs", type=int, help="train on the first so many pairs only")
    parser.add_argument("--name", default="flickr8k", help="of the result file")
    parser.add_argument("--seeds", default="10", help="of the attackers; a surrogate of the same seed would flatter")
    settings = parser.parse_args()
    for part, source, captions in (("train", "train", None), ("train-3", "train", PROTECTED), ("test", "test", None)):
        copy(DATA / "flickr8k" / source, FOLDER / part, captions)
    journal = Journal(FOLDER / "trainings.jsonl")
    recipe = {"attacker": settings.attacker, "epochs": settings.epochs, "pairs": settings.pairs}
    for seed in map(int, settings.seeds.split(",")):
        for cell in settings.cells:
            run = {"cell": cell, "seed": seed, **recipe}
            if not any(run.items() <= done.items() for done in journal.read()):
                journal.append(run | trained(*cell.split(":"), run))
    runs = [run for run in journal.read() if run["cell"] in settings.cells and recipe.items() <= run.items()]
    rows = list(summary(runs, len(read_judged([str(FOLDER / "test")], SIDE))))
    print(table(rows))
    print(save(settings.name, vars(settings), {"rows": rows, "runs": runs}).relative_to(ROOT))


def copy(source: Path, target: Path, captions: int | None = None) -> None:
    """Shards with pictures of `SIDE` pixels and the first captions (None: all) in the .txt, one a line."""
    for shard in sorted(source.glob("*.tar")):
        if (target / shard.name).exists():
            continue
        target.mkdir(parents=True, exist_ok=True)
        part = target / f"{shard.name}.part"
        with tarfile.open(shard) as read, tarfile.open(part, "w") as write:
            members = {member.name: read.extractfile(member).read() for member in read}  # type: ignore[union-attr]
            for name, data in members.items():
                member = tarfile.TarInfo(name)
                if name.endswith(".json"):
                    continue
                changed = _smaller(data) if name.endswith(".jpg") else data
                if name.endswith(".txt"):
                    changed = "\n".join(json.loads(members[name[:-3] + "json"])["captions"][:captions]).encode()
                member.size = len(changed)
                write.addfile(member, io.BytesIO(changed))
        part.rename(target / shard.name)


def _smaller(data: bytes) -> bytes:
    picture, buffer = Image.open(io.BytesIO(data)).convert("RGB"), io.BytesIO()
    picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=95, subsampling=0)
    return buffer.getvalue()


def published(arm: str, part: str) -> Path:
    """The files of an arm, written by the tool's own command line."""
    arguments, out = ARMS[arm], FOLDER / f"{arm}-{part}"
    if arguments is None:
        return FOLDER / part
    make(out, ["--size", SIDE, "--urls", "strip", *arguments, "-q"], FOLDER / part)
    return out


def trained(arm: str, row: str, run: dict[str, Any]) -> dict[str, Any]:
    """One training: R@10 of both directions and mean loss by epoch."""
    use_precision(choose_device("cpu"), "fp32")
    clean = read_pairs([str(FOLDER / "train")], SIDE, run["pairs"])
    files = read_pairs([str(published(arm, "train-3" if row == "rewritten" else "train"))], SIDE, run["pairs"])
    test = read_judged([str(FOLDER / "test")], SIDE)
    augment = AUGMENTED.get(row, "openclip")
    settings = VerifySettings(attackers=(run["attacker"],), epochs=run["epochs"], size=SIDE, augment=augment)
    epochs = []
    for result in train(ROWS[row](files, clean), test, run["attacker"], settings, run["seed"]):
        epochs.append({"loss": result.loss, **{name: round(result.metrics[name], 4) for name in R_AT_10}})
        print(run["cell"], result.epoch, epochs[-1], flush=True)
    return {"by_epoch": epochs[1:]}


def as_published(files: Pairs, clean: Pairs) -> Pairs:
    return files


def stripped(files: Pairs, clean: Pairs) -> Pairs:
    """Every planted word taken out: protected pictures with the captions as they were."""
    return files.recaptioned(clean.captions)


def half_of_the_words(files: Pairs, clean: Pairs) -> Pairs:
    """Half of each caption's words dropped at random, once and for all, as the verifier's row does."""
    return files.recaptioned(redrawn(half, files.captions))


def rewritten(files: Pairs, clean: Pairs) -> Pairs:
    """Captions that protection never saw, of the same photos: those after the first `PROTECTED`."""
    return files.recaptioned([captions[PROTECTED:] for captions in clean.captions])


ROWS: dict[str, Callable[[Pairs, Pairs], Pairs]] = {
    "plain": as_published,
    "plain-none": as_published,
    "stripped-none": stripped,
    "strong": as_published,
    "stripped": stripped,
    "half": half_of_the_words,
    "rewritten": rewritten,
}

AUGMENTED = {"strong": "strong", "plain-none": "none", "stripped-none": "none"}  # not by open_clip's crops
CONTROLS = {"strong": "clean:strong", "none": "clean:plain-none"}


def summary(runs: list[dict[str, Any]], pictures: int) -> Iterable[dict[str, Any]]:
    """Rows of the table: R@10 in %, and the share of the clean gain that is left, at the best and the last epoch."""
    for run in runs:
        row: dict[str, Any] = {"arm": run["cell"], "seed": run["seed"]}
        for moment in ("best", "last"):
            score, reference = _score(run, moment), _reference(runs, run, moment)
            row[f"R@10 {moment}"] = round(100 * score, 1)
            row[f"retained {moment}"] = None if reference is None else round(_share(score, reference), 2)
            if moment == "best":
                row["error"] = None if reference is None else round(_error(score, reference, pictures), 2)
        yield row


def _reference(runs: list[dict[str, Any]], run: dict[str, Any], moment: str) -> float | None:
    """R@10 on clean files by the same seed and augmentation."""
    row = run["cell"].split(":")[1]
    same = {r["cell"]: r for r in runs if r["seed"] == run["seed"]}
    clean = same.get(CONTROLS.get(AUGMENTED.get(row, ""), "clean:plain"))
    return None if clean is None else _score(clean, moment)


def _score(run: dict[str, Any], moment: str) -> float:
    """R@10, 0 to 1, mean of both directions."""
    curve = [sum(epoch[name] for name in R_AT_10) / 2 for epoch in run["by_epoch"]]
    return max(curve) if moment == "best" else curve[-1]


def _share(score: float, reference: float) -> float:
    return (score - CHANCE) / (reference - CHANCE)


def _error(score: float, reference: float, pictures: int) -> float:
    """Standard error of a share from the number of test pictures, as if both directions were one."""
    share = _share(score, reference)
    spread = score * (1 - score) + share**2 * reference * (1 - reference)
    return sqrt(spread / pictures) / (reference - CHANCE)


if __name__ == "__main__":
    main()
