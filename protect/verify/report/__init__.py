"""A comparison for people and programs: terminal text, one offline HTML page, Markdown, JSON."""

from collections.abc import Sequence
from pathlib import Path

from protect.files import write_whole
from protect.verify.report.documents import to_markdown
from protect.verify.report.documents import to_text as to_text
from protect.verify.report.export import to_benchmark, to_json
from protect.verify.report.export import to_dict as to_dict
from protect.verify.report.samples import SamplePair as SamplePair
from protect.verify.result import Comparison

PRIVATE = 0o600


def save(comparison: Comparison, out: Path, samples: Sequence[SamplePair] = ()) -> None:
    """Writes report.html, report.md, results.json (CLIP_benchmark's schema) and details.json (everything).

    The page holds clean pictures and clean captions: only its owner may read it.
    """
    from protect.verify.report.page import to_page

    files = {
        "report.html": to_page(comparison, samples),
        "report.md": to_markdown(comparison),
        "results.json": to_json(to_benchmark(comparison)),
        "details.json": to_json(to_dict(comparison)),
    }
    out.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        mode = PRIVATE if name == "report.html" else 0o644
        write_whole(out / name, text.encode(), mode)
