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


def save(found: Comparison, out: Path, samples: Sequence[SamplePair] = ()) -> None:
    """Writes report.html, report.md, results.json (CLIP_benchmark's schema) and details.json (everything).

    The page holds clean pictures and clean captions: only its owner may read it.
    """
    from protect.verify.report.page import to_page

    files = {
        "report.html": to_page(found, samples),
        "report.md": to_markdown(found),
        "results.json": to_json(to_benchmark(found)),
        "details.json": to_json(to_dict(found)),
    }
    out.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        mode = PRIVATE if name == "report.html" else 0o644
        write_whole(out / name, text.encode(), mode)
