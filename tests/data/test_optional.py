import tomllib
from pathlib import Path

import pytest

from protect.data.optional import missing, packages_of

EXTRAS = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]["optional-dependencies"]


@pytest.mark.parametrize("extra", sorted(set(EXTRAS) - {"dev"}))
def test_the_packages_of_an_extra_are_those_of_the_project(extra):
    assert packages_of(extra) == EXTRAS[extra]


def test_the_message_names_the_packages_and_how_to_get_them():
    said = str(missing("the page", "web"))
    assert said.startswith("the page: expected anyio and starlette and uvicorn, not all found; pip install 'anyio")
    assert "protect-pairs" not in said and "\n" not in said
