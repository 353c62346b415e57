"""Protectors compared on one data set: a comparison for each, and a table of all."""

from collections.abc import Callable, Mapping
from pathlib import Path

from protect.settings.verify import VerifySettings
from protect.verify.comparison import compare
from protect.verify.report import leaderboard
from protect.verify.result import Comparison


def bench(
    clean: str,
    entries: Mapping[str, str],
    test: str | None,
    settings: VerifySettings,
    out: Path,
    progress: Callable[[str], None] = lambda line: None,
) -> tuple[dict[str, Comparison], dict[str, str]]:
    """The comparison of each entry's published files, and why an entry could not be compared, both by name.

    Reports go to out/NAME, the table of all to out. Entries share finished trainings, which are stored in
    out/runs.jsonl: those on clean files are done once, and a rerun goes on where the last one stopped.
    """
    results, failed = dict[str, Comparison](), dict[str, str]()
    for name, published in entries.items():
        progress(f"{name}: {published}")
        try:
            results[name] = compare(clean, published, test, settings, None, out / name, progress, out)
        except ValueError as error:
            failed[name] = " ".join(str(error).split())
            progress(f"{name}: left out, {failed[name]}")
        leaderboard.save(results, failed, out)
    return results, failed
