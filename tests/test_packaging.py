"""What is installed: every package, its data and what it needs, and nothing under a foreign name."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
# where the import has another name
DISTRIBUTIONS = {
    "PIL": "pillow",
    "open_clip": "open_clip_torch",
    "pillow_heif": "pillow-heif",
    "efficientnet_lite_pytorch": "efficientnet-lite-pytorch",
}


def folders():
    """Every folder of code, by the name it is imported under."""
    inside = {"protect": ROOT / "protect", "protect.cli": ROOT / "cli"}
    return {
        ".".join((name, *path.parent.relative_to(top).parts))
        for name, top in inside.items()
        for path in top.rglob("__init__.py")
    }


def imported():
    """First names of all modules that the code imports."""
    for path in (*(ROOT / "protect").rglob("*.py"), *(ROOT / "cli").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                yield str(node.module).split(".")[0]


def names_of(requirements):
    return {re.split(r"[^\w-]", requirement)[0] for requirement in requirements}


def test_every_package_is_listed():
    setuptools = PROJECT["tool"]["setuptools"]
    assert set(setuptools["packages"]) == folders()
    assert len(setuptools["packages"]) == len(folders())
    assert {name: ROOT / path for name, path in setuptools["package-dir"].items()} == {"protect.cli": ROOT / "cli"}


def test_every_folder_of_code_is_a_package():
    code = {path.parent for top in ("protect", "cli") for path in (ROOT / top).rglob("*.py")}
    assert all((folder / "__init__.py").exists() for folder in code)


def test_package_data_exists():
    for pattern in PROJECT["tool"]["setuptools"]["package-data"]["protect"]:
        assert list((ROOT / "protect").glob(pattern)), pattern
    data = {p for p in (ROOT / "protect").rglob("*") if p.is_file() and p.suffix not in (".py", ".pyc")}
    listed = {p for g in PROJECT["tool"]["setuptools"]["package-data"]["protect"] for p in (ROOT / "protect").glob(g)}
    assert data == listed


def test_what_is_imported_is_declared():
    project = PROJECT["project"]
    extras = [wanted for name, wanted in project["optional-dependencies"].items() if name != "dev"]
    declared = names_of(project["dependencies"]).union(*map(names_of, extras))
    foreign = {DISTRIBUTIONS.get(n, n) for n in imported() if n not in (*sys.stdlib_module_names, "protect")}
    assert foreign <= declared


def test_the_command_exists():
    module, function = PROJECT["project"]["scripts"]["protect"].split(":")
    assert callable(getattr(import_module(module), function))


def test_cli_is_no_module_of_its_own(tmp_path):
    code = (
        "from importlib.util import find_spec; import protect.cli; "
        "print([n for n in ('cli', 'tests', 'samples') if find_spec(n)])"
    )
    run = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
