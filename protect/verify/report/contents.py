"""The tables of a report: rows, transfer, mixtures, distortion, checks, data, settings."""

from collections.abc import Iterable, Sequence
from math import isfinite

from protect.report.tables import Table, percent, spread
from protect.verify.records import (
    BEST,
    CLEAN,
    LINEAR_PROBE,
    MATCHED,
    MOMENTS,
    PERCENTILE,
    PROTECTED,
    RECALL,
    TO_IMAGE,
    TO_TEXT,
    UNTRAINED,
    ZERO_SHOT,
    Arm,
    Group,
    Weakest,
    judged_by,
    mix_names,
)
from protect.verify.report.findings import dropped, percents
from protect.verify.report.summary import CONTROLS, most, with_error
from protect.verify.result import Comparison

HEADER = ("row", "attacker", "retained, best", "retained, last", "by rank, best")
TASKS = (ZERO_SHOT, LINEAR_PROBE)
FIGURES = ("i2t R@10 %", "t2i R@10 %", "i2t MedR", "t2i MedR")
OF_CONTROL, BEST_EPOCH, DROPPED = "of its control", "best epoch", "dropped"


def explained(comparison: Comparison) -> str:
    """How the table of rows is to be read."""
    words = (
        "Retained: the retained gain, (R - chance) / (R of clean - chance), at the best and the last epoch; R is the "
        "mean of both R@10, chance the computed one, clean the plain row of that name, whatever the row does. By "
        "rank: the same with the mean percentile rank, 1 - (rank - 1/2) / items, in place of R@10; it varies less "
        "from test set to test set. After ± stands the standard error from the choice of test pictures. The best "
        "epoch is chosen on the test itself, in the attackers' favour. Other figures are of the best epoch, mean "
        "(lowest..highest) over seeds. R@10: share of queries whose partner is among the first ten, image to text "
        "and text to image. MedR: median rank."
    )
    if comparison.group(Group.CONTROL):
        words += (
            " Of its control: the retained gain, at the best epoch, beside clean files under the same treatment "
            f"({MATCHED}NAME)."
        )
    if any(map(dropped, comparison.arms)):
        words += (
            " Dropped: what the row throws away of the files it takes. Nothing is learned from that, so dropping "
            "counts as protection."
        )
    return words


def arms_table(comparison: Comparison, arms: Sequence[Arm], title: str) -> Table:
    """Chance, then a row for each of the arms and attackers; the weakest one is marked.

    Columns that would be empty are left out: the share of a control's gain, dropped pairs or words.
    """
    controls = {arm.name for arm in comparison.group(Group.CONTROL)}
    has_control = any(MATCHED + arm.name in controls for arm in arms)
    optional = [(OF_CONTROL, has_control), (BEST_EPOCH, True), (DROPPED, any(map(dropped, arms)))]
    names = [name for name, wanted in optional if wanted]
    rows = []
    if comparison.runs:
        rows.append(
            ("chance, computed", "", "0 %", "0 %", "0 %", *("" for _ in names), *_figures([comparison.chance]))
        )
    for attacker in comparison.attackers:
        untrained = [result.metrics for result in comparison.results(CLEAN, attacker, UNTRAINED)]
        epoch = ("0" if name == BEST_EPOCH else "" for name in names)
        rows.append(("chance, untrained", attacker, "", "", "", *epoch, *_figures(untrained)))
    marks, weakest = dict[int, str](), comparison.weakest()
    for arm in arms:
        for attacker in comparison.attackers:
            if not comparison.results(arm.name, attacker, BEST):
                continue
            if weakest is not None and (weakest.arm, weakest.attacker) == (arm.name, attacker):
                marks[len(rows)] = "weakest"
            rows.append(_arm_row(comparison, arm, attacker, names))
    if comparison.runs and any(arm.group is Group.MANDATORY for arm in arms):
        gaps = [""] * (len(names) + len(FIGURES))
        rows += [(name, "not applicable", "-", "-", "-", *gaps) for name in comparison.inapplicable]
    return Table(title, (*HEADER, *names, *FIGURES), tuple(rows), names=2, marks=marks)


def _arm_row(comparison: Comparison, arm: Arm, attacker: str, names: Sequence[str]) -> tuple[str, ...]:
    results = comparison.results(arm.name, attacker, BEST)
    places = [Weakest(0.0, arm.name, attacker, moment) for moment in reversed(MOMENTS)]
    retained = [with_error(comparison, row) for row in places]
    by_rank = with_error(comparison, places[0], PERCENTILE)
    of_control = comparison.retained_of_control(arm.name, attacker, BEST)
    optional = {
        OF_CONTROL: "" if of_control is None else percent(of_control),
        BEST_EPOCH: spread([float(result.epoch) for result in results], "{:.0f}", middle=False),
        DROPPED: dropped(arm),
    }
    cells = (optional[name] for name in names)
    return (arm.name, attacker, *retained, by_rank, *cells, *_figures([result.better for result in results]))


def _figures(metrics: Sequence[dict[str, float]]) -> list[str]:
    ways = (TO_TEXT, TO_IMAGE)
    recalls = [spread([100 * m[f"{way}_recall@10"] for m in metrics], "{:.1f}") for way in ways]
    return recalls + [spread([m[f"{way}_median_rank"] for m in metrics], "{:.0f}") for way in ways]


def rivals(comparison: Comparison) -> list[Arm]:
    """The rows of the transfer matrix: controls, the protected files, other protectors' files."""
    names = (*CONTROLS, PROTECTED)
    return [arm for arm in comparison.arms if arm.name in names or arm.group is Group.FURTHER]


def transfer_table(comparison: Comparison) -> Table:
    """The highest share of each protector's files under each attacker."""
    rows = []
    for arm in rivals(comparison):
        places = [most(comparison, arm.name, attacker) for attacker in comparison.attackers]
        rows.append((arm.name, *(percent(row.retained if row else None) for row in places)))
    title = "Retained gain, by protected files and attacker; the higher of last and best epoch"
    return Table(title, ("files", *comparison.attackers), tuple(rows))


def classes_table(comparison: Comparison) -> Table | None:
    """What trained towers know of the classes of the test set, at the best epoch; None without classes."""
    if not comparison.runs or ZERO_SHOT not in comparison.chance:
        return None
    chance = [f"{100 * comparison.chance[task]:.1f}" for task in TASKS]
    rows = [("chance, computed", "", chance[0], "", chance[1], "")]
    for attacker in comparison.attackers:
        untrained = _accuracies(comparison, CLEAN, attacker, UNTRAINED)
        rows.append(("untrained", attacker, untrained[0], "", untrained[1], ""))
    for arm in comparison.arms:
        for attacker in comparison.attackers:
            if comparison.results(arm.name, attacker, BEST):
                zero_shot, probe = _accuracies(comparison, arm.name, attacker, BEST)
                retained = [percent(comparison.retained_accuracy(arm.name, attacker, BEST, task)) for task in TASKS]
                rows.append((arm.name, attacker, zero_shot, retained[0], probe, retained[1]))
    title = (
        "Zero-shot classification and a linear probe of the image tower, at the best epoch; retained: the part of "
        "what clean training adds to the untrained network"
    )
    return Table(title, ("row", "attacker", "zero-shot %", "retained", "probe %", "retained"), tuple(rows), names=2)


def _accuracies(comparison: Comparison, arm: str, attacker: str, moment: str) -> list[str]:
    values = [comparison.accuracy(arm, attacker, moment, task) for task in TASKS]
    return ["-" if value is None else f"{100 * value:.1f}" for value in values]


def dilution_table(comparison: Comparison) -> Table:
    """Learnability gain of the owner's pairs inside a training set that is clean otherwise, at the best epoch."""
    rows = []
    for share in percents(comparison):
        mix, absent = mix_names(share)
        whole = share >= 100
        mix = PROTECTED if whole else mix
        for attacker in comparison.attackers:
            recalls = [comparison.mean(arm, attacker, BEST) for arm in (mix, absent, CLEAN)]
            recalls[1] = judged_by(comparison.chance, RECALL) if whole else recalls[1]
            gains = [percent(comparison.learnability(share, attacker, moment)) for moment in reversed(MOMENTS)]
            figures = ["-" if value is None else f"{100 * value:.1f}" for value in recalls]
            rows.append((f"{share:g} %", attacker, *gains, *figures))
    header = ("protected", "attacker", "learned, best", "learned, last", "R@10 % with them", "without", "all clean")
    return Table("Learnability gain of the owner's pairs in a mixture", header, tuple(rows), names=2)


def distortion_table(comparison: Comparison) -> Table | None:
    """How far the published pictures are from the clean ones, beside a re-encode that changes nothing else."""
    cheap = comparison.cheap
    if cheap is None:
        return None
    rows = [["protected", f"{cheap.linf:g}", _decibels(cheap.psnr), f"{cheap.ssim:.4f}"]]
    if cheap.reencode_psnr is not None and cheap.reencode_ssim is not None:
        rows.append(["clean, written again", "-", _decibels(cheap.reencode_psnr), f"{cheap.reencode_ssim:.4f}"])
    header = ["pictures", "largest change, 255ths", "PSNR, dB", "SSIM"]
    if cheap.ssimulacra2 is not None:
        header.append("SSIMULACRA2")
        for row, rating in zip(rows, (cheap.ssimulacra2, cheap.reencode_ssimulacra2), strict=False):
            row.append("-" if rating is None else f"{rating:.0f}")
    title = "Distance from the clean pictures: means, and the largest change of a pixel"
    return Table(title, tuple(header), tuple(map(tuple, rows)))


def _decibels(psnr: float) -> str:
    return f"{psnr:.1f}" if isfinite(psnr) else "equal"


def checks_table(comparison: Comparison) -> Table | None:
    """What a filter or a reader of the files sees without training a CLIP."""
    cheap = comparison.cheap
    if cheap is None:
        return None
    rows = [("leaks of clean material", str(len(cheap.leaks)), "0 wanted")]
    words = cheap.words_survive.items()
    rows += [(f"trigger words whole, {name}", _precise(share), "100 % wanted") for name, share in words]
    if cheap.probe is not None:
        clean = f"{percent(cheap.probe_clean)} off clean ones"
        rows.append(("planted word read off the picture by a linear probe", percent(cheap.probe), clean))
    areas = cheap.detection.items()
    rows += [(f"detector {name}, AUC", f"{area:.2f}", "0.50: cannot tell") for name, area in areas]
    return Table("Checks that train no CLIP", ("check", "measured", "beside"), tuple(rows))


def _precise(share: float) -> str:
    """Never rounded up to 100 %."""
    return "100 %" if share >= 1 else f"{int(share * 1000) / 10:.1f} %"


def data_table(comparison: Comparison) -> Table:
    """What every row was trained on, and the test."""
    sources = [(arm.name, arm.pairs, arm.skipped, arm.shards, arm.note) for arm in comparison.arms]
    if comparison.runs:
        sources.append(
            (
                "test",
                comparison.test.pairs,
                comparison.test.skipped,
                comparison.test.shards,
                "judged on, never trained on",
            )
        )
    rows = [
        (name, note, str(pairs), str(skipped), str(len(shards))) for name, pairs, skipped, shards, note in sources
    ]
    rows += [(name, f"not applicable; {why}", "-", "-", "-") for name, why in comparison.inapplicable.items()]
    return Table("Data as read", ("row", "what it is", "pairs", "skipped", "files"), tuple(rows), names=2)


def settings_table(comparison: Comparison) -> Table:
    """Settings and versions."""
    rows = [(name, _plain(value)) for name, value in (comparison.settings | comparison.versions).items()]
    seeds = range(int(comparison.settings.get("seeds", 0)))
    return Table(
        "Settings and versions",
        ("name", "value"),
        (*rows, ("seed numbers", _plain(list(seeds))), ("time taken", duration(comparison.seconds))),
        names=2,
    )


def duration(seconds: float) -> str:
    """Seconds as a person would say them."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def hashes(comparison: Comparison) -> list[tuple[str, str, str]]:
    """Row, file and SHA-256 of everything that was read, each file once."""
    named = [(arm.name, arm.shards) for arm in comparison.arms] + [("test", comparison.test.shards)]
    return list(_once((row, file, digest) for row, files in named for file, digest in files.items()))


def _once(rows: Iterable[tuple[str, str, str]]) -> Iterable[tuple[str, str, str]]:
    seen = set[tuple[str, str]]()
    for row, file, digest in rows:
        if (file, digest) not in seen:
            seen.add((file, digest))
            yield row, file, digest


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
