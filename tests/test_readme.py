"""README says what is: its commands print what it shows, its tree is complete, each command and option is told of."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import click
import pytest

from protect.cli import cli, main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)( minutes)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
VARYING = re.compile(r"[\d.]+(?= images/s)|(?<=about )[\d.]+(?= s\b)|(?<=hash )[0-9a-f]+")  # from run to run


def commands(text: str) -> Iterator[tuple[str, str]]:
    """Each command of a console block, and what is printed below it."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def blocks(language: str, minutes: bool) -> list[str]:
    return [text for found, slow, text in BLOCK.findall(README) if found == language and bool(slow) == minutes]


LONG = [command for text in blocks("console", minutes=True) for command, _ in commands(text)]
DEMO = re.findall(r"^run (.*)$", (ROOT / "samples" / "demo.sh").read_text().replace("\\\n", ""), re.MULTILINE)


def parse(words: list[str]) -> click.Context:
    """The arguments of a `protect` command as click takes them; a wrong one raises click.UsageError."""
    command = cli.get_command(click.Context(cli), words[1])
    assert command is not None, words
    return command.make_context(words[1], words[2:])


class Terminal:
    """Runs the lines of the README one after the other in one folder, `protect` itself in this process."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        (folder / "samples").symlink_to(ROOT / "samples")
        monkeypatch.chdir(folder)
        monkeypatch.setenv("COLUMNS", "80")
        monkeypatch.setenv("LC_ALL", "C")
        monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
        self.monkeypatch, self.capsys, self.status = monkeypatch, capsys, 0

    def run(self, command: str) -> str:
        """What the command prints, progress before results as on a terminal."""
        if command == "echo $?":
            return f"{self.status}\n"
        words = shlex.split(command)
        if words[0] == "protect":
            self.monkeypatch.setattr(sys, "argv", words)
            with pytest.raises(SystemExit) as stopped:
                main()
            self.status = stopped.value.code
            printed = self.capsys.readouterr()
            return printed.err + printed.out
        done = subprocess.run(command, shell=True, capture_output=True, text=True)
        self.status = done.returncode
        return done.stderr + done.stdout

    def run_python(self, text: str) -> str:
        exec(compile(text, "README.md", "exec"), {})
        return self.capsys.readouterr().out


def test_commands_and_library_example_print_what_readme_shows(tmp_path, monkeypatch, capsys):
    terminal, ran = Terminal(tmp_path, monkeypatch, capsys), 0
    for language, minutes, text in BLOCK.findall(README):
        if language == "console" and not minutes:
            for command, expected in commands(text):
                printed = terminal.run(command).rstrip("\n")
                assert VARYING.sub("N", printed) == VARYING.sub("N", expected.rstrip("\n")), command
                ran += 1
        elif language == "python":
            expected = re.findall(r"  # (.*)$", text, re.MULTILINE)
            assert expected, "a Python example says in comments what it prints"
            assert terminal.run_python(text).splitlines() == expected
            ran += 1
    assert ran >= 10


@pytest.mark.parametrize("command", LONG)
def test_commands_that_take_minutes_exist(command):
    words = shlex.split(command)
    match words[0]:
        case "make":
            assert re.search(rf"^{words[1]}:.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
        case "protect":
            parse(words)
        case _:
            pinned = (ROOT / "constraints.txt").read_text().split()
            assert all(word in pinned for word in words if "==" in word)
            assert "install" in words or "venv" in words


def test_demo_runs_commands_that_exist_and_ends_with_the_one_shown():
    assert {shlex.split(line)[1] for line in DEMO if line.startswith("protect")} == {"shards", "inspect", "verify"}
    for words in map(shlex.split, DEMO):
        if words[0] == "protect":
            parse(words)
        else:
            assert words[0] == "python" and (ROOT / words[1]).exists()
    assert shlex.split(DEMO[-1]) in [shlex.split(command) for command in LONG]


@pytest.mark.parametrize("name", cli.list_commands(click.Context(cli)))
def test_every_command_is_shown_and_every_option_has_help(name):
    assert re.search(rf"^\$ protect {name} ", README, re.MULTILINE)
    command = cli.get_command(click.Context(cli), name)
    options = [param for param in command.params if isinstance(param, click.Option)]
    assert command.help and options
    assert not [param.opts for param in options if not param.help]


def tracked() -> set[str]:
    """The project's files: git's, new ones included; where there is no git, all that .gitignore does not name."""
    if (ROOT / ".git").exists() and shutil.which("git"):
        command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
        return {name for name in names if (ROOT / name).exists()}
    ignored = [".git", *(line.strip("/") for line in (ROOT / ".gitignore").read_text().split())]
    paths = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
    return {
        path.as_posix() for path in paths if not any(fnmatch(part, name) for part in path.parts for name in ignored)
    }


def tree() -> dict[str, str]:
    """What the README's tree says of each path; a folder's ends in a slash, two spaces lead one level down."""
    (text,) = blocks("text", minutes=False)
    found: dict[str, str] = {}
    above: list[str] = []
    for line in text.splitlines():
        spaces, name, about = re.fullmatch(r"( *)(\S+) +(\S.*)", line).groups()
        above = [*above[: len(spaces) // 2], name]
        found["".join(above)] = about
    return found


def test_the_tree_has_every_file():
    listed, files = tree(), tracked()
    inner = {path.rsplit("/", 1)[0] + "/" for path in listed if not path.endswith("/") and "/" in path}
    whole = tuple(path for path in listed if path.endswith("/") and path not in inner)
    assert {path for path in listed if not (ROOT / path).exists()} == set()
    assert {file for file in files if file not in listed and not file.startswith(whole)} == set()


def test_the_tree_test_sees_files_and_whole_folders():
    assert {"README.md", "protect/run.py", "protect/methods/mem.py", "tests/"} <= set(tree())
    assert {"README.md", "protect/run.py", "tests/test_readme.py"} <= tracked()
