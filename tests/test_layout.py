"""The rooms of the code: which may import which, no circles, no file too long to read."""

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
# One way only: a room imports from rows above it. What stands in one row does not know of each other.
ORDER = (
    ("types", "samples", "seeds", "files", "settings"),
    ("data", "report"),
    ("publish", "clip"),
    ("methods", "unlearn"),
    ("jobs", "verify"),
    ("cli",),
)
LEVEL = {room: level for level, row in enumerate(ORDER) for room in row}
BASE = ORDER[0]  # these few may use each other


@cache
def modules() -> dict[str, Path]:
    """Every module by its name."""
    named = {}
    for top, name in ((ROOT / "protect", "protect"), (ROOT / "cli", "protect.cli")):
        for path in top.rglob("*.py"):
            parts = path.relative_to(top).with_suffix("").parts
            named[".".join((name, *(part for part in parts if part != "__init__")))] = path
    return named


def imports(module: str) -> Iterator[str]:
    """Modules of the project that one of them imports, anywhere in its source."""
    for node in ast.walk(ast.parse(modules()[module].read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules())
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                if inner in modules() or node.module in modules():
                    yield inner if inner in modules() else node.module


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def test_imports_run_one_way():
    wrong = []
    for module in modules():
        for other in imports(module):
            one, two = room(module), room(other)
            if one and two and one != two and not (one in BASE and two in BASE) and LEVEL[two] >= LEVEL[one]:
                wrong.append(f"{module} imports {other}")
    assert not wrong


def test_every_room_has_its_place():
    assert {room(module) for module in modules()} - {""} == set(LEVEL)


def test_there_is_no_import_circle():
    order = TopologicalSorter({module: set(imports(module)) - {module} for module in modules()})
    assert len(tuple(order.static_order())) >= len(modules())  # a circle raises CycleError


def test_no_file_is_too_long_and_few_lie_flat():
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in modules().values()}
    assert not {name: lines for name, lines in lengths.items() if lines > 300}
    assert len(list((ROOT / "protect").glob("*.py"))) <= 5
