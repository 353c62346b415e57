"""What `protect check` found, in lines a person can read and as plain values."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from protect.jobs.check.folder import Unread
from protect.jobs.check.measured import Outlook, measured_how
from protect.jobs.check.pair import Check, Marks
from protect.jobs.check.words import WordsLeft

CROPPED = 0.97  # of the area: less is told


def to_json(checks: Sequence[Check | Unread]) -> dict[str, Any]:
    """Everything that was measured."""
    read = [asdict(check) for check in checks if isinstance(check, Check)]
    return {
        "checks": read,
        "unread": [asdict(one) for one in checks if isinstance(one, Unread)],
        "how": measured_how(),
    }


def lines(check: Check | Unread) -> Iterator[str]:
    """One pair."""
    if isinstance(check, Unread):
        yield f"{check.path}: not compared: {check.reason}"
        return
    if not check.same:
        nearest = f"nearest: {check.mine}, likeness {check.likeness:.2f}" if check.mine else "nothing is like it"
        yield f"{check.downloaded}: not the same picture as any that was given ({nearest})"
        return
    assert check.noise and check.words and check.marks, "measured wherever both show the same"
    yield f"{check.downloaded} (made of {check.mine})"
    cropped = f", {check.area:.0%} of its area" if check.area < CROPPED else ""
    yield f"  size: {check.scale:.2f} times that of the protected photo{cropped}"
    yield f"  noise left at training size: {check.noise.left:.0%} (by {check.noise_by})"
    for band in check.noise.bands:
        longest = "" if band.longest > 1000 else f" to {band.longest:g}"
        waves = (
            f"waves of {band.shortest:g}{longest} pixels"
            if longest
            else f"waves of {band.shortest:g} pixels and more"
        )
        yield f"    {band.name} ({waves}): {band.left:.0%} left of {band.weight:.0%} of the noise"
    yield f"  words: {words_text(check.words)}"
    yield f"  opt-out: {marks_text(check.marks)}"
    if not check.marks.marked:
        yield f"  note: {check.mine} has no mark of `protect photos`; is it the protected file?"
    for found, words in zip(check.outlooks, _cases(check), strict=True):
        yield f"  verdict: {words}{outlook_text(found)}"


def words_text(words: WordsLeft) -> str:
    """What is left of the planted words."""
    if not words.planted:
        return "none were planted"
    if words.left is None:
        return "the file holds no caption; give the text that stands beside it with --caption"
    if len(words.left) == len(words.planted):
        return f"all {len(words.planted)} are there"
    lost = [word for word in words.planted if word not in words.left]
    return f"{len(words.left)} of {len(words.planted)} are there; missing: {', '.join(lost)}"


def marks_text(marks: Marks) -> str:
    """What is left of the wish not to be used for training."""
    wish = "kept" if marks.opt_out else "removed from the file" if marks.opt_out_before else "was never in the file"
    if marks.credits_before:
        wish += "; creator and rights " + ("kept" if marks.credits else "removed")
    return wish


def _cases(check: Check) -> tuple[str, ...]:
    return ("with its words, ", "without them, ") if len(check.outlooks) > 1 else ("",)


def outlook_text(outlook: Outlook) -> str:
    """What attackers learned in the rows that are nearest, as a share of what clean files teach."""
    least, most = (f"{share:.0%}" for share in outlook.retained)
    share = least if least == most else f"{least} to {most}"
    return f"attackers in our tests learned {share} of what clean files teach (rows: {', '.join(outlook.rows)})"


def total(checks: Sequence[Check | Unread]) -> Iterator[str]:
    """The end of the report: counts, and how the figures were measured."""
    same = [check for check in checks if isinstance(check, Check) and check.same]
    if len(checks) > 1:
        left = f", noise left {median(c.noise.left for c in same if c.noise):.0%} (median)" if same else ""
        yield f"{len(same)} of {len(checks)} downloaded files are known{left}"
    if same:
        yield f"tests: {measured_how()}"
