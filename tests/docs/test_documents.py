"""The documents say what is: commands print what they show, links lead somewhere, no command goes untold."""

import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from protect.cli import cli
from protect.methods import METHODS
from protect.unlearn import methods as unlearn
from protect.verify.countermeasures import COUNTERMEASURES

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("update_docs", ROOT / "tools" / "update_docs.py")
docs = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(docs)

README = (ROOT / "README.md").read_text(encoding="utf-8")
NAMES = [str(path.relative_to(ROOT)) for path in docs.documents()]
DEMO = re.findall(r"^run (.*)$", (ROOT / "samples" / "demo.sh").read_text().replace("\\\n", ""), re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]*)(#[^)]*)?\)")


def blocks(name: str) -> list[re.Match]:
    return list(docs.BLOCK.finditer((ROOT / name).read_text(encoding="utf-8")))


def long_commands(name: str) -> list[str]:
    shown = (docs.COMMAND.finditer(block["text"]) for block in blocks(name) if block["minutes"])
    return [match["command"].replace("\\\n", "") for matches in shown for match in matches]


LONG = {name: long_commands(name) for name in NAMES}


def parse(words: list[str]) -> click.Context:
    """The arguments of a `protect` command as click takes them; a wrong one raises click.UsageError."""
    command = cli.get_command(click.Context(cli), words[1])
    assert command is not None, words
    return command.make_context(words[1], words[2:])


def check(words: list[str]) -> None:
    """A command that is not run here has to exist and to take these arguments."""
    match words[0]:
        case "make":
            assert re.search(rf"^{words[1]}:.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
        case "protect":
            parse(words)
        case "python" if words[1] != "-m":
            assert (ROOT / words[1]).exists(), words[1]
        case "sbatch" | "kubectl" | "ray":  # they are given a file of ours
            assert any((ROOT / word).is_file() for word in words[1:] if word.startswith("samples/")), words
        case _:
            pinned = (ROOT / "constraints.txt").read_text().split()
            assert all(word in pinned for word in words if "==" in word)
            assert {"install", "wheel", "venv", "add", "commit", "pytest", "ruff"} & set(words), words


@pytest.mark.parametrize("name", NAMES)
def test_what_a_document_shows_is_what_is_printed(name, tmp_path):
    shown = (ROOT / name).read_text(encoding="utf-8")
    with docs.terminal(tmp_path) as shell:
        printed = docs.updated(shown, shell)
    assert printed == shown, "run python tools/update_docs.py"


@pytest.mark.parametrize(("name", "command"), [(name, line) for name, lines in LONG.items() for line in lines])
def test_commands_that_take_minutes_exist(name, command):
    check(shlex.split(command))


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_to_files_and_headings(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    for path, heading in LINK.findall(text):
        if path.startswith("http"):
            continue
        target = ((ROOT / name).parent / path).resolve() if path else ROOT / name
        assert target.exists(), path
        if heading:
            titles = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading[1:] in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_document_is_linked_from_readme_or_from_a_page_that_is():
    seen, ahead = set(), [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        if page.suffix == ".md" and page not in seen:
            seen.add(page)
            linked = (path for path, _ in LINK.findall(page.read_text(encoding="utf-8")) if path)
            ahead += [target for path in linked if (target := (page.parent / path).resolve()).is_file()]
    assert set((ROOT / "docs").rglob("*.md")) <= seen


def test_readme_is_short():
    assert len(README.splitlines()) <= 200


def test_demo_runs_commands_that_exist():
    assert {shlex.split(line)[1] for line in DEMO if line.startswith("protect")} == {"shards", "inspect", "verify"}
    for words in map(shlex.split, DEMO):
        check(words)


def test_demo_tries_the_strongest_known_attack_on_the_default():
    (verify,) = (shlex.split(line) for line in DEMO if line.startswith("protect verify"))
    assert "whiten-and-deduplicate" in parse(verify).params["countermeasures"]


@pytest.mark.parametrize("name", cli.list_commands(click.Context(cli)))
def test_every_command_is_shown_and_every_option_has_help(name):
    assert re.search(rf"^\$ protect {name} ", README, re.MULTILINE)
    command = cli.get_command(click.Context(cli), name)
    options = [param for param in command.params if isinstance(param, click.Option)]
    assert command.help and options
    assert not [param.opts for param in options if not param.help]


@pytest.mark.parametrize(
    ("page", "names"), [("verify", COUNTERMEASURES), ("unlearn", unlearn.METHODS), ("methods/README", METHODS)]
)
def test_every_method_and_countermeasure_is_told_of(page, names):
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    assert not [name for name in names if not re.search(rf"`{re.sub('[0-9]+$', '', name)}", text)]


def test_every_benchmark_is_told_of():
    text = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    scripts = {path.name for path in (ROOT / "benchmarks").glob("*.py") if "def main(" in path.read_text()}
    assert not [name for name in scripts if name.replace("gpu.py", "gpu.sh") not in text]


def test_the_tree_is_made_from_the_modules():
    script = [sys.executable, str(ROOT / "tools" / "architecture.py"), "--check"]
    done = subprocess.run(script, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# The tool that rewrites them

STALE = """text
```console
$ echo new && echo and && echo more
old
$ echo 3.1 images/s, about 4 s left; echo now
2.0 images/s, about 9 s left
before
$ false
$ echo $?
0
```
```console minutes
$ echo never run
never
```
```python
print("one")  # two
```
"""


def test_outputs_are_rewritten_and_nothing_else(tmp_path):
    with docs.terminal(tmp_path) as shell:
        after = docs.updated(STALE, shell)
    expected = (
        STALE.replace("old\n", "new\nand\nmore\n")
        .replace("before", "now")
        .replace("$?\n0", "$?\n1")
        .replace("# two", "# one")
    )
    assert after == expected


def test_a_line_that_no_comment_shows_is_an_error(tmp_path):
    with docs.terminal(tmp_path) as shell, pytest.raises(ValueError, match="found none for: b"):
        docs.updated('```python\nprint("a\\nb")  # a\n```\n', shell)
