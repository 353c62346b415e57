"""Command-line options generated from Settings fields; defaults and help exist only there."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from types import NoneType
from typing import Any, get_args

import click

from protect.settings.recipe import Recipe


def settings_options(*classes: type, overrides: Mapping[str, Any] | None = None) -> Callable[[Any], Any]:
    """A decorator that adds one long option for every field of the given Settings classes."""

    def decorate(command: Any) -> Any:
        for cls in reversed(classes):
            for field in reversed(fields(cls)):
                command = _option(field, (overrides or {}).get(field.name))(command)
        return command

    return decorate


def build(cls: type, values: dict[str, Any]) -> Any:
    """Takes the fields of `cls` out of parsed option values; a bad value becomes a usage error (exit code 2)."""
    chosen = {f.name: values.pop(f.name) for f in fields(cls)}
    try:
        return cls(**{k: _as_tuple(v) for k, v in chosen.items()})
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _option(field: Field, default: Any) -> Callable[[Any], Any]:
    default = (field.default if field.default is not MISSING else None) if default is None else default
    name = "--" + field.name.replace("_", "-")
    kind: Any = CommaList(type(default[0]) if default else str) if isinstance(default, tuple) else type(default)
    if default is None:
        kind = next(one for one in get_args(field.type) if one is not NoneType)  # of `int | None`, int
    if field.metadata["choices"] and default != "":
        kind = click.Choice(list(field.metadata["choices"]))
    elif field.metadata["choices"]:
        kind = click.Choice([*field.metadata["choices"], ""])
    if isinstance(default, bool):
        name, kind = f"{name}/--no-{field.name.replace('_', '-')}", None
    shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
    return click.option(
        name, field.name, default=default, type=kind, show_default=str(shown) if shown not in ("", None) else False,
        help=field.metadata["help"],
    )  # fmt: skip


class CommaList(click.ParamType):
    """A list written with commas, its items words or numbers."""

    name = "a,b,..."

    def __init__(self, kind: type = str) -> None:
        self.kind = kind

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[Any, ...]:
        if not isinstance(value, str | tuple | list):
            self.fail(f"expected words with commas between or a list, got {value!r}", param, ctx)
        items = value.split(",") if isinstance(value, str) else value  # a list: a preset's, a TOML file's
        try:
            return tuple(self.kind(item) for item in (str(item).strip() for item in items) if item)
        except ValueError:
            self.fail(f"expected numbers with commas between, got {value!r}", param, ctx)


def recipe_options(command: Any) -> Any:
    """Every knob of phase 1."""
    return settings_options(*(type(f.default) for f in fields(Recipe)))(command)


def build_recipe(values: dict[str, Any]) -> Recipe:
    parts = {f.name: build(type(f.default), values) for f in fields(Recipe)}
    try:
        return Recipe(**parts)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
