"""Write the tree in docs/architecture.md from the first line of every module's docstring.

python tools/architecture.py            rewrite the tree
python tools/architecture.py --check    change nothing; exit with 1 if the tree is out of date
"""

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "architecture.md"
FOLDERS = ("protect", "cli", "samples", "tools", "benchmarks")
TREE = re.compile(r"^```text\n.*?^```$", re.MULTILINE | re.DOTALL)


def about(path: Path) -> str:
    """The first line of a module's docstring, without its full stop."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    if not docstring:
        raise ValueError(
            f"{path.relative_to(ROOT)}: expected a docstring that says what the module is for, found none"
        )
    return docstring.splitlines()[0].rstrip(".")


def rows(folder: Path, depth: int = 0) -> Iterator[tuple[str, str]]:
    """Name and purpose of a folder and all modules below it, modules before folders."""
    start = folder / "__init__.py"
    yield f"{'  ' * depth}{folder.name}/", about(start) if start.exists() else ""
    for path in sorted(folder.glob("*.py")):
        if path != start:
            yield f"{'  ' * (depth + 1)}{path.name}", about(path)
    for inner in sorted(path for path in folder.iterdir() if path.is_dir() and any(path.rglob("*.py"))):
        yield from rows(inner, depth + 1)


def tree() -> str:
    listed = [row for name in FOLDERS for row in rows(ROOT / name)]
    width = max(len(name) for name, _ in listed) + 2
    return "\n".join(f"{name:{width}}{text}".rstrip() for name, text in listed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing, exit with 1 if the tree is out of date")
    check = parser.parse_args().check
    before = DOCUMENT.read_text(encoding="utf-8")
    after = TREE.sub(lambda _: f"```text\n{tree()}\n```", before, count=1)
    if after == before:
        print(f"{DOCUMENT.relative_to(ROOT)}: up to date")
    elif check:
        sys.exit(f"{DOCUMENT.relative_to(ROOT)}: the tree is out of date; run python tools/architecture.py")
    else:
        DOCUMENT.write_text(after, encoding="utf-8")
        print(f"{DOCUMENT.relative_to(ROOT)}: rewritten")


if __name__ == "__main__":
    main()
