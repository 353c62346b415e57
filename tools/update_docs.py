"""Run the commands that the documents show, and rewrite what is printed below them.

    python tools/update_docs.py            every document
    python tools/update_docs.py --check    change nothing; name what is out of date
    python tools/update_docs.py docs/shards.md

A block that starts with ```console is run line by line in an empty folder of its document's own that holds samples/.
A block that starts with ```console minutes is left alone: it takes minutes, or shows no output. In a ```python block
the comments at the ends of lines are what it prints. Numbers that differ from run to run (rates, seconds, hashes)
count as equal.
"""

import argparse
import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^```(?P<language>\w+)(?P<minutes> minutes)?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (?P<command>(?:.*\\\n)*.*)\n(?P<output>(?:(?!\$ ).*\n)*)", re.MULTILINE)
COMMENT = re.compile(r"  # (.*)$", re.MULTILINE)
VARYING = re.compile(
    r"[\d.]+(?= images/s)|(?<=about )[\d.]+(?= s\b)|(?<=training: )[\d.]+(?= s\b)|(?<=hash )[0-9a-f]+"
    r"|(?<=ended )[\d.]+(?= s ago)|(?<=\"images_per_second\": )[\d.]+"
)


def documents() -> list[Path]:
    """Every Markdown file that is written for readers."""
    top = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "samples/README.md")]
    return [path for path in (*top, *sorted((ROOT / "docs").rglob("*.md"))) if path.exists()]


class Terminal:
    """Runs the lines of one document; `protect` itself runs in this process, which saves time."""

    def __init__(self) -> None:
        self.status: int | str | None = 0

    def run(self, command: str) -> str:
        """What a command prints, errors included, in the order in which it is printed."""
        if command == "echo $?":
            return f"{self.status}\n"
        words = shlex.split(command)
        if words[0] == "protect":
            return self._protect(words)
        done = subprocess.run(command, shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.status = done.returncode
        return done.stdout

    def _protect(self, words: list[str]) -> str:
        from protect.cli import main

        before, sys.argv = sys.argv, words
        with _captured() as printed:
            try:
                main()
            except SystemExit as stopped:
                self.status = stopped.code
            finally:
                sys.argv = before
        return printed()

    def run_python(self, text: str) -> str:
        """What a Python block prints."""
        with _captured() as printed:
            exec(compile(text, "the example", "exec"), {})
        return printed()


@contextlib.contextmanager
def _captured() -> Iterator:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
        yield lambda: stream.buffer.getvalue().decode("utf-8")


@contextlib.contextmanager
def terminal(folder: Path) -> Iterator[Terminal]:
    """A terminal of 80 columns in `folder`, with samples/ in it and this Python first on the PATH."""
    (folder / "samples").symlink_to(ROOT / "samples")
    place, environment = Path.cwd(), dict(os.environ)
    os.environ |= {"COLUMNS": "80", "LC_ALL": "C", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    os.chdir(folder)
    try:
        yield Terminal()
    finally:
        os.chdir(place)
        os.environ.clear()
        os.environ.update(environment)


def updated(text: str, shell: Terminal) -> str:
    """A document with every output as it is now; what only differs in varying numbers stays as it was."""

    def command(match: re.Match) -> str:
        line = match["command"]
        shown = {VARYING.sub("N", one): one for one in match["output"].splitlines()}
        printed = shell.run(line.replace("\\\n", "")).strip("\n").splitlines()
        return "\n".join([f"$ {line}", *(shown.get(VARYING.sub("N", one), one) for one in printed)]) + "\n"

    def block(match: re.Match) -> str:
        language, body = match["language"], match["text"]
        if language == "python":
            lines = iter(shell.run_python(body).splitlines())
            body = COMMENT.sub(lambda comment: "  # " + next(lines, "prints nothing"), body)
            missing = list(lines)
            if missing:
                raise ValueError(f"expected a comment for each printed line, found none for: {missing[0]}")
        elif language == "console" and not match["minutes"]:
            body = COMMAND.sub(command, body)
        return f"```{language}{match['minutes'] or ''}\n{body}```"

    return BLOCK.sub(block, text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, help="documents (default: all)")
    parser.add_argument(
        "--check", action="store_true", help="change nothing, exit with 1 if a document is out of date"
    )
    arguments = parser.parse_args()
    stale = 0
    for path in [file.resolve() for file in arguments.files] or documents():
        before = path.read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory() as folder, terminal(Path(folder)) as shell:
            after = updated(before, shell)
        if after != before:
            stale += 1
            print(f"{path.relative_to(ROOT)}: {'out of date' if arguments.check else 'rewritten'}")
            if not arguments.check:
                path.write_text(after, encoding="utf-8")
    print(f"{stale} documents {'are out of date' if arguments.check else 'rewritten'}")
    sys.exit(1 if stale and arguments.check else 0)


if __name__ == "__main__":
    main()
