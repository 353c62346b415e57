"""What a comparison reads before it trains: clean and protected pairs, decoded once for all sizes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from protect.verify.reading.pairs import read_pairs, read_sizes
from protect.verify.reading.scrape import source_hashes
from protect.verify.reading.test_set import HeldOut, is_held_out
from protect.verify.records import CLEAN, PROTECTED, TEST
from protect.verify.report import SamplePair
from protect.verify.runs.material import Material

SHOWN = 6  # pairs of pictures in a report
UNREDUCED = 1 << 30  # pixels


def read_materials(
    sources: Mapping[str, str], sizes: Sequence[int], held_out: HeldOut, folder: Path
) -> dict[int, Material]:
    """By size, the first clean pairs (None: all) that are not held out, and the protected pairs of the same keys."""
    clean_files, published_files = (
        {size: folder / f"{name}-{size}.pixels" for size in sizes} for name in (CLEAN, PROTECTED)
    )
    trained = (lambda key: not is_held_out(key)) if held_out.from_clean else None
    clean = read_sizes([sources[CLEAN]], clean_files, held_out.limit, trained)
    keys = frozenset(clean[sizes[0]].keys)
    published = read_sizes([sources[PROTECTED]], published_files, keep=keys.__contains__)
    return {size: Material(size, clean[size], published[size], dict(sources), folder, held_out) for size in sizes}


def hashes(sources: Mapping[str, str], test: str | None) -> dict[str, dict[str, str]]:
    """SHA-256 of all files by source; raises ValueError when a test file is also one that is trained on."""
    trained_on = {name: source_hashes(source) for name, source in sources.items()}
    tested = trained_on[CLEAN] if test is None else source_hashes(test)
    trained = {digest: name for name, files in trained_on.items() for digest in files.values()}
    for name, digest in tested.items():
        if test is not None and digest in trained:
            raise ValueError(
                f"test: expected pairs that no arm trains on, got {name}, also in {trained[digest]}; "
                "without a test, a part of the clean pairs is held out"
            )
    return {**trained_on, TEST: tested}


def sample_pairs(clean: str, protected: str) -> list[SamplePair]:
    """The first pictures of both, at their own size, where it is the same."""
    own = read_pairs([clean], UNREDUCED, SHOWN)
    published = read_pairs([protected], UNREDUCED, SHOWN, frozenset(own.keys).__contains__)
    places = {key: i for i, key in enumerate(own.keys)}
    both = [(places[key], i) for i, key in enumerate(published.keys)]
    return [
        SamplePair(own.keys[i], own.pictures[i], published.pictures[j], own.captions[i][0], published.captions[j][0])
        for i, j in both
        if own.pictures[i].shape == published.pictures[j].shape
    ]
