"""The comparison: every arm, attacker and seed by one recipe; finished runs are kept for a restart."""

import hashlib
import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from importlib.metadata import version
from itertools import product
from math import ceil
from pathlib import Path

import protect
from protect.metrics import chance
from protect.seeds import derive
from protect.settings import VerifySettings
from protect.shards import find_shards
from protect.surrogate import autocast_type, choose_device
from protect.verify.attackers import new_attacker, train
from protect.verify.pairs import Pairs, read_pairs
from protect.verify.result import Comparison, EpochResult, Run, Source, progress_line, save

CLEAN, TEST = "clean", "test"
HELD_OUT = 10  # without a test set, about one key in this many is kept from every arm
PACKAGES = ("torch", "open_clip_torch", "pillow", "webdataset")


def compare(
    clean: str,
    arms: Mapping[str, str],
    test: str | None,
    settings: VerifySettings,
    out: Path | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> Comparison:
    """Trains every attacker on `clean` and on each arm: the same keys, number of steps and recipe in all.

    Sources are as for `find_shards`. Without `test`, about a tenth of the keys of `clean` is held out of
    every arm, and its clean pairs are the test. With `out`, finished runs are kept in out/runs.jsonl, where a
    hash of data, recipe and seed finds them again, and the reports are written beside it.
    Raises ValueError for data that cannot be compared.
    """
    if {CLEAN, TEST} & set(arms):
        names = ", ".join(arms)
        raise ValueError(f"arms: expected names other than {CLEAN} and {TEST}, got {names}; rename it")
    settings = replace(settings, device=str(choose_device(settings.device)))
    sources = {TEST: test or clean, CLEAN: clean, **arms}
    shards = {name: shard_hashes(source) for name, source in sources.items()}
    if test is not None:
        _check_apart(shards)
    sizes = {attacker: new_attacker(attacker, settings, seed=0).size for attacker in settings.attackers}
    kept, data, runs = KeptRuns(out), dict[str, Source](), list[Run]()
    for size in sorted(set(sizes.values())):
        attackers = [attacker for attacker in sizes if sizes[attacker] == size]
        for arm, pairs in _read(sources, size, settings.limit, held_out=test is None):
            data[arm] = Source(arm, len(pairs), pairs.skipped, shards[arm])
            if arm == TEST:
                judged = pairs
                continue
            steps = data[CLEAN].pairs // settings.batch
            hashes = [shards[arm], shards[CLEAN], shards[TEST], test is None]
            for attacker, seed in product(attackers, range(settings.seeds)):
                name = f"{arm}, {attacker}, seed {seed}"
                identity = _identity(hashes, arm, attacker, seed, settings)
                run = kept.get(identity)
                if run is None:
                    results = train(pairs, judged, attacker, settings, seed, steps)
                    epochs = tuple(_watched(results, name, settings.epochs, progress))
                    run = kept.add(Run(identity, arm, attacker, seed, epochs))
                else:
                    progress(f"{name}: kept from before")
                runs.append(run)
    found = Comparison(
        settings=asdict(settings),
        versions=_versions(settings),
        test=data.pop(TEST),
        arms=tuple(data.values()),
        chance=chance([len(captions) for captions in judged.captions]),
        runs=tuple(runs),
    )
    if out is not None:
        save(found, out)
    return found


def _read(sources: Mapping[str, str], size: int, limit: int, held_out: bool) -> Iterator[tuple[str, Pairs]]:
    """Test pairs, clean ones, then every other arm's pairs of the keys that clean has."""
    if held_out:
        yield TEST, read_pairs([sources[TEST]], size, ceil(limit / (HELD_OUT - 1)), is_held_out)
    else:
        yield TEST, read_pairs([sources[TEST]], size)
    clean = read_pairs([sources[CLEAN]], size, limit, lambda key: not (held_out and is_held_out(key)))
    keys = frozenset(clean.keys)
    yield CLEAN, clean
    del clean  # a large set: only one arm at a time stays in memory
    for arm, source in sources.items():
        if arm not in (TEST, CLEAN):
            yield arm, read_pairs([source], size, keep=keys.__contains__)


def is_held_out(key: str) -> bool:
    """Whether a key belongs to the test when there is no test set; the same on every run and machine."""
    return derive(0, TEST, key) % HELD_OUT == 0


def shard_hashes(source: str) -> dict[str, str]:
    """SHA-256 of every shard's bytes, by file name."""
    found = {}
    for shard in find_shards([source]):
        with shard.open("rb") as file:
            found[shard.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _check_apart(shards: Mapping[str, dict[str, str]]) -> None:
    trained = {digest: arm for arm in shards if arm != TEST for digest in shards[arm].values()}
    for name, digest in shards[TEST].items():
        if digest in trained:
            raise ValueError(
                f"test: expected pairs that no arm trains on, got {name}, also in {trained[digest]}; "
                "without a test, a part of the clean pairs is held out"
            )


def _identity(data: list[object], arm: str, attacker: str, seed: int, settings: VerifySettings) -> str:
    """A hash of what decides a run's outcome: data, recipe, attacker, seed, version of this tool."""
    recipe = {k: v for k, v in asdict(settings).items() if k not in ("attackers", "seeds")}
    parts = [protect.__version__, data, arm, attacker, seed, recipe]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _watched(
    results: Iterator[EpochResult], run: str, epochs: int, progress: Callable[[str], None]
) -> Iterator[EpochResult]:
    for result in results:
        progress(progress_line(run, result, epochs))
        yield result


def _versions(settings: VerifySettings) -> dict[str, str]:
    kind = autocast_type(choose_device(settings.device))
    packages = {name: version(name) for name in PACKAGES}
    own = {"protect": protect.__version__, "python": platform.python_version()}
    return own | packages | {"precision": str(kind or "torch.float32")}


class KeptRuns:
    """Finished runs, one JSON line each in out/runs.jsonl; a line cut short by a kill is ignored."""

    def __init__(self, out: Path | None) -> None:
        self._runs: dict[str, Run] = {}
        self._path = None if out is None else out / "runs.jsonl"
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        text = self._path.read_text(encoding="utf-8") if self._path.exists() else ""
        if text and not text.endswith("\n"):
            self._append("\n")  # so that the next line does not continue the broken one
        for line in text.splitlines():
            try:
                fields = json.loads(line)
                run = Run(**fields | {"epochs": tuple(EpochResult(**epoch) for epoch in fields["epochs"])})
            except (ValueError, TypeError, KeyError):
                continue
            self._runs[run.id] = run

    def get(self, identity: str) -> Run | None:
        return self._runs.get(identity)

    def add(self, run: Run) -> Run:
        """Keep a run, on the disk before this returns."""
        self._runs[run.id] = run
        self._append(json.dumps(asdict(run)) + "\n")
        return run

    def _append(self, text: str) -> None:
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
