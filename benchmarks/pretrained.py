"""Attackers that start from pretrained towers, on Flickr8k photos as the default of `protect shards` publishes them.

    python benchmarks/pretrained.py
    python benchmarks/pretrained.py --attackers pretrained-lit,pretrained-lora,pretrained-finetune --pairs 1000 \
        --size 96 --test 00000.tar --rows clean,protected,trigger-stripped --name flickr8k-pretrained-trained

One caption a photo. Rows are made as `protect verify` makes them; only those that are named are trained on, because
each takes minutes of one core. A killed run goes on with the training it was at.
"""

import argparse
from dataclasses import asdict
from math import sqrt
from pathlib import Path
from tempfile import TemporaryDirectory

from common import DATA, ROOT, RUNS, make, save, table
from flickr8k_verdict import curves
from verdict import rows_of

from protect.clip.device import choose_device, use_precision
from protect.clip.retrieval import chance
from protect.settings.verify import VerifySettings
from protect.verify.attackers.train import train
from protect.verify.reading.test_set import find_held_out
from protect.verify.records import CLEAN, PROTECTED, TEST, Arm, Group, Run, Source
from protect.verify.report import to_dict
from protect.verify.result import Comparison
from protect.verify.runs.build import digest
from protect.verify.runs.controls import CONTROLS
from protect.verify.runs.run_store import RunStore
from protect.verify.runs.sources import read_materials

ROWS = "clean,protected,trigger-stripped,random-noise,random-trigger"
FOLDER = RUNS / "pretrained"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--attackers", default="pretrained-frozen")
    parser.add_argument("--rows", default=ROWS)
    parser.add_argument("--pairs", type=int, help="train on the first so many pairs only")
    parser.add_argument("--size", type=int, default=144, help="pixels; the photos have 144")
    parser.add_argument("--epochs", type=int, default=3, help="of attackers that train by steps")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--test", default="", help="test on one shard of the test set only")
    parser.add_argument("--name", default="flickr8k-pretrained", help="of the result file")
    asked = parser.parse_args()
    clean, published = DATA / "flickr8k/train", RUNS / "flickr144"
    make(published, ["--urls", "strip", "-q"], clean)
    comparison = compared(clean, published, DATA / "flickr8k/test" / asked.test, asked)
    details = to_dict(comparison)
    rows = rows_of(details)
    print(table(rows))
    print(save(asked.name, vars(asked), {"rows": rows, "by_epoch": curves(details)}).relative_to(ROOT))


def compared(clean: Path, published: Path, test: Path, asked: argparse.Namespace) -> Comparison:
    """All that was asked for, by the verifier's recipe; trainings are stored as they end."""
    settings = VerifySettings(
        attackers=tuple(asked.attackers.split(",")),
        epochs=asked.epochs,
        batch=asked.batch,
        learning_rate=VerifySettings.learning_rate * sqrt(asked.batch / VerifySettings.batch),
        size=asked.size,
        limit=asked.pairs,
        device="cpu",
    )
    use_precision(choose_device("cpu"), settings.precision)
    names, store, arms = asked.rows.split(","), RunStore(FOLDER), list[Arm]()
    held_out = find_held_out(str(clean), str(test), asked.pairs)
    judged, runs = held_out.read(asked.size), list[Run]()
    with TemporaryDirectory(prefix="protect-pretrained-") as folder:
        sources = {CLEAN: str(clean), PROTECTED: str(published)}
        material = read_materials(sources, [asked.size], held_out, Path(folder))[asked.size]
        for control in (control for name in names for control in CONTROLS if control.name == name):
            pairs = control.make(material)
            arms.append(Arm(control.name, Group.MANDATORY, control.claim, len(pairs), pairs.skipped, {}))
            for attacker in settings.attackers:
                recipe = {**asdict(settings), "attackers": attacker}
                identity = digest(recipe, control.name, asked.seed, str(published), asked.test)
                if store.get(identity) is None:
                    epochs = []
                    for result in train(pairs, judged, attacker, settings, asked.seed):
                        epochs.append(result)
                        print(f"{control.name}, {attacker}, epoch {result.epoch}: {result.score:.4f}", flush=True)
                    store.add(Run(identity, control.name, attacker, asked.seed, tuple(epochs), len(pairs)))
                runs.append(store.get(identity))
    return Comparison(
        settings=asdict(settings),
        versions={},
        test=Source(TEST, len(judged), judged.skipped, {}),
        arms=tuple(arms),
        chance=chance([len(captions) for captions in judged.captions]),
        runs=tuple(runs),
    )


if __name__ == "__main__":
    main()
