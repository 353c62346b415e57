"""What a comparison found: records, the share of the clean gain that is left, tables for people and JSON."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from math import sqrt
from pathlib import Path
from statistics import mean
from typing import Any

TO_TEXT, TO_IMAGE = "text_retrieval", "image_retrieval"  # i2t and t2i
SMALL_GAIN = 0.05  # of R@10: with less to lose, a low share says nothing
LUCK = 3  # nor does a gain within this many standard errors of guessing on the test set
MOMENTS = ("last", "best")
HEADER = ("arm", "attacker", "epoch", "i2t R@10 %", "t2i R@10 %", "i2t MedR", "t2i MedR", "clean gain kept")


@dataclass(frozen=True)
class EpochResult:
    """An attacker after an epoch; epoch 0 is the untrained network. metrics: see `protect.metrics`."""

    epoch: int
    loss: float | None
    metrics: dict[str, float]
    seconds: float = field(compare=False)

    @property
    def score(self) -> float:
        """R@10 (0 to 1), mean of both directions."""
        return recall(self.metrics)


@dataclass(frozen=True)
class Run:
    """One training: arm, attacker, seed; `id` is a hash of everything that decides its outcome."""

    id: str
    arm: str
    attacker: str
    seed: int
    epochs: tuple[EpochResult, ...]

    def at(self, moment: str) -> EpochResult:
        """The "untrained", "last" or "best" epoch; best by score, never epoch 0."""
        if moment == "best":
            return max(self.epochs[1:], key=lambda result: result.score)
        return self.epochs[0 if moment == "untrained" else -1]


@dataclass(frozen=True)
class Source:
    """Data as read: pairs used, samples that could not be, SHA-256 of every shard."""

    name: str
    pairs: int
    skipped: int
    shards: dict[str, str]


@dataclass(frozen=True)
class Comparison:
    """All arms under one recipe; arms[0] is clean, and `chance` is the computed one."""

    settings: dict[str, Any]
    versions: dict[str, str]
    test: Source
    arms: tuple[Source, ...]
    chance: dict[str, float]
    runs: tuple[Run, ...]

    @property
    def attackers(self) -> list[str]:
        return list(dict.fromkeys(run.attacker for run in self.runs))

    def results(self, arm: str, attacker: str, moment: str) -> list[EpochResult]:
        """One result a seed."""
        return [run.at(moment) for run in self.runs if (run.arm, run.attacker) == (arm, attacker)]

    def gain(self, arm: str, attacker: str, moment: str) -> float:
        """Points of R@10 (0 to 1) above computed chance, mean of directions and seeds."""
        return mean(result.score for result in self.results(arm, attacker, moment)) - recall(self.chance)

    @property
    def least_gain(self) -> float:
        """What clean training must gain before a share of it means anything."""
        guess = recall(self.chance)
        return max(SMALL_GAIN, LUCK * sqrt(guess * (1 - guess) / self.test.pairs))

    def share(self, arm: str, attacker: str, moment: str) -> float | None:
        """The part of the clean gain that the arm leaves; None when clean itself gains too little."""
        clean = self.gain(self.arms[0].name, attacker, moment)
        return self.gain(arm, attacker, moment) / clean if clean >= self.least_gain else None


def recall(metrics: dict[str, float]) -> float:
    """R@10 (0 to 1), mean of both directions."""
    return (metrics[f"{TO_TEXT}_recall@10"] + metrics[f"{TO_IMAGE}_recall@10"]) / 2


def progress_line(run: str, result: EpochResult, epochs: int) -> str:
    """One line about a finished epoch."""
    to_text, to_image = (100 * result.metrics[f"{way}_recall@10"] for way in (TO_TEXT, TO_IMAGE))
    loss = "" if result.loss is None else f"loss {result.loss:.3f}, "
    found = f"R@10 i2t {to_text:.1f} % t2i {to_image:.1f} %"
    return f"{run}, epoch {result.epoch}/{epochs}: {loss}{found}, {result.seconds:.1f} s"


def notes(found: Comparison) -> Iterator[str]:
    """The findings in words, limits of the comparison included."""
    clean = found.arms[0]
    for arm in found.arms[1:]:
        kept = [(found.share(arm.name, a, m), a, m) for a in found.attackers for m in MOMENTS]
        known = [(share, attacker, moment) for share, attacker, moment in kept if share is not None]
        if known:
            share, attacker, moment = max(known)
            where = f"({attacker}, {moment} epoch)"
            yield f"{arm.name}: attackers keep at most {share:.0%} of the clean gain {where}."
        if arm.pairs < clean.pairs:
            lost = f"{arm.name}: only {arm.pairs} of the {clean.pairs} clean pairs could be read"
            yield f"{lost}; what is missing lowers its figures as well."
    for attacker in found.attackers:
        gain, least = found.gain(clean.name, attacker, "best"), found.least_gain
        if gain < least:
            yield (
                f"{attacker}: clean training gains {100 * gain:.1f} points of R@10 at its best epoch, expected at "
                f"least {100 * least:.1f} with {found.test.pairs} test images: too little to lose: verdict not "
                "possible; give it more pairs, test images or epochs."
            )
    yield "Attackers took the files as written; no countermeasure (crops, JPEG, stripped words) was tried."


def grid(found: Comparison) -> list[tuple[str, ...]]:
    """The table as cells, header first: chance, then every arm at the last and the best epoch."""
    rows = [HEADER, ("chance, computed", "", "", *_figures([found.chance]), "")]
    for attacker in found.attackers:
        untrained = [result.metrics for result in found.results(found.arms[0].name, attacker, "untrained")]
        rows.append(("chance, untrained", attacker, "0", *_figures(untrained), ""))
    for arm in found.arms:
        for attacker in found.attackers:
            for moment in MOMENTS:
                results = found.results(arm.name, attacker, moment)
                share = found.share(arm.name, attacker, moment)
                epochs = _spread([float(result.epoch) for result in results], "{:.0f}", middle=False)
                figures = _figures([result.metrics for result in results])
                kept = "-" if share is None else f"{100 * share:.0f} %"
                rows.append((arm.name, attacker, f"{moment} {epochs}", *figures, kept))
    return rows


def _figures(metrics: Sequence[dict[str, float]]) -> list[str]:
    ways = (TO_TEXT, TO_IMAGE)
    recalls = [_spread([100 * m[f"{way}_recall@10"] for m in metrics], "{:.1f}") for way in ways]
    return recalls + [_spread([m[f"{way}_median_rank"] for m in metrics], "{:.0f}") for way in ways]


def _spread(values: Sequence[float], form: str, middle: bool = True) -> str:
    """Mean (lowest..highest), or without the mean; one value when all print alike."""
    low, high = form.format(min(values)), form.format(max(values))
    if low == high:
        return low
    return f"{form.format(mean(values))} ({low}..{high})" if middle else f"{low}..{high}"


def to_text(found: Comparison) -> str:
    """The table for a terminal, with the findings below it."""
    rows = grid(found)
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADER))]

    def line(row: Sequence[str]) -> str:
        names = [cell.ljust(width) for cell, width in zip(row[:3], widths[:3], strict=True)]
        figures = [cell.rjust(width) for cell, width in zip(row[3:], widths[3:], strict=True)]
        return "  ".join(names + figures).rstrip()

    ruler = "  ".join("-" * width for width in widths)
    return "\n".join([line(rows[0]), ruler, *map(line, rows[1:]), "", *notes(found)])


def to_markdown(found: Comparison) -> str:
    """The report file: findings, table, and how it was made."""
    rows = ["| " + " | ".join(row) + " |" for row in grid(found)]
    rows.insert(1, "|" + " --- |" * 3 + " ---: |" * (len(HEADER) - 3))
    sources = [
        f"- {source.name}: {source.pairs} pairs, {source.skipped} skipped, {len(source.shards)} shards"
        for source in (*found.arms, found.test)
    ]
    made = [f"- {name}: {_plain(value)}" for name, value in (found.settings | found.versions).items()]
    seeds = "Mean (lowest..highest) over seeds; MedR counts from 1."
    kept = "Clean gain kept: (R - chance) / (R of clean - chance), R the mean of both R@10, chance computed."
    parts = [
        ["# What an attacker learns from the published files", *(f"- {note}" for note in notes(found))],
        rows,
        [f"{seeds} {kept}"],
        ["## Data", *sources],
        ["## Made with", *made],
    ]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def to_dict(found: Comparison) -> dict[str, Any]:
    """Everything, ready for JSON: settings, versions, shard hashes, every epoch of every run, the shares."""
    shares = [
        {"arm": arm.name, "attacker": a, **{moment: found.share(arm.name, a, moment) for moment in MOMENTS}}
        for arm in found.arms[1:]
        for a in found.attackers
    ]
    return asdict(found) | {"clean_gain_kept": shares, "notes": list(notes(found))}


def to_benchmark(found: Comparison) -> list[dict[str, Any]]:
    """One record a run and moment, in the result schema of CLIP_benchmark."""
    return [
        {
            "dataset": f"{run.arm}, seed {run.seed}, {moment} epoch",
            "model": run.attacker,
            "pretrained": "",
            "task": "zeroshot_retrieval",
            "metrics": run.at(moment).metrics,
            "language": "",
        }
        for run in found.runs
        for moment in MOMENTS
    ]


def save(found: Comparison, out: Path) -> None:
    """Writes report.md, results.json (CLIP_benchmark's schema) and details.json (everything)."""
    (out / "report.md").write_text(to_markdown(found), encoding="utf-8")
    for name, content in (("results.json", to_benchmark(found)), ("details.json", to_dict(found))):
        (out / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
