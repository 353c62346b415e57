"""Command-line options made from Settings fields, in groups; defaults and help exist only there."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import Field, fields
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import click
from click.core import ParameterSource

from protect.methods import METHODS, method_of
from protect.methods.recipe import SHARED, Recipe

UNSET = "none"  # how None is written in an option, a preset or a file
GIVEN = (ParameterSource.COMMANDLINE, ParameterSource.DEFAULT_MAP)
FROM_PRESET = "protect.preset"  # in a context's meta: names of the options that a preset has set


class Grouped(click.Command):
    """A command whose help shows its options under headings, those without one first."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups: dict[str, list[tuple[str, str]]] = {"Options": []}
        for param in self.get_params(ctx):
            if isinstance(param, click.Argument):
                continue
            if (record := param.get_help_record(ctx)) is not None:
                groups.setdefault(getattr(param, "group", "Options"), []).append(record)
        for heading, records in groups.items():
            with formatter.section(heading):
                formatter.write_dl(records)


class GroupedOption(click.Option):
    """An option that stands under a heading."""

    group = "Options"


def settings_options(
    *classes: type,
    overrides: Mapping[str, Any] | None = None,
    group: str = "Options",
    first: Iterable[str] = (),
    names: Mapping[str, str] | None = None,
) -> Callable[[Any], Any]:
    """A decorator that adds one long option for every field of the given Settings classes.

    group: the heading they stand under in the help; those named in `first` stand with the main options. names: what
    an option is called where it is not called like its field.
    """

    def decorate(command: Any) -> Any:
        for cls in reversed(classes):
            hints = get_type_hints(cls)
            for field in reversed(fields(cls)):
                default = (overrides or {}).get(field.name, field.default)
                heading = "Options" if field.name in first else group
                called = (names or {}).get(field.name, field.name)
                command = _option(field, hints[field.name], default, heading, called)(command)
        return command

    return decorate


def build(cls: type, values: dict[str, Any]) -> Any:
    """Takes the fields of `cls` out of parsed option values; a bad value becomes a usage error (exit code 2)."""
    chosen = {f.name: values.pop(f.name) for f in fields(cls) if f.name in values}
    try:
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in chosen.items()})
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _option(field: Field, hint: Any, default: Any, group: str, called: str) -> Callable[[Any], Any]:
    name, choices = "--" + called.replace("_", "-"), field.metadata["choices"]
    may_be_unset = NoneType in get_args(hint)
    kind: Any = next(one for one in get_args(hint) if one is not NoneType) if may_be_unset else hint
    if get_origin(kind) is tuple:
        kind = CommaList(get_args(kind)[0])
    elif field.name == "method" and not choices:
        kind = MethodName()
    elif choices:
        kind = click.Choice(list(choices))
    if kind is bool:
        name, kind = f"{name}/--no-{called.replace('_', '-')}", None
    elif may_be_unset:
        kind = OrNone(kind)
    text: Any = field.metadata["unset"] or False if default is None else True
    if isinstance(default, tuple):
        text = ",".join(map(str, default)) or False
    made = click.option(
        name, field.name, cls=GroupedOption, default=default, type=kind, show_default=text,
        help=field.metadata["help"],
    )  # fmt: skip

    def decorate(command: Any) -> Any:
        command = made(command)
        command.__click_params__[-1].group = group
        return command

    return decorate


class MethodName(click.ParamType):
    """The name of a method; which ones there are is asked when it is read, and an old name says what to use."""

    name = "method"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return f"[{'|'.join(METHODS)}]"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        try:
            method_of(str(value))
        except ValueError as error:
            self.fail(str(error).removeprefix("method: "), param, ctx)
        return str(value)


class OrNone(click.ParamType):
    """A value of another kind, or the word `none` for an option that is left unset."""

    def __init__(self, kind: Any) -> None:
        self.kind = click.types.convert_type(kind)
        self.name = self.kind.name

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str | None:
        return self.kind.get_metavar(param, ctx)

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        return None if value == UNSET else self.kind.convert(value, param, ctx)


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


MAIN = ("method", "surrogate", "seed", "trigger_words", "epsilon")  # the options of a recipe that matter first


def recipe_options(command: Any) -> Any:
    """Every knob of phase 1: those for all methods, then those that only some have, under their names."""
    for heading, own in reversed(_own_options().items()):
        for field, hint in reversed(own):
            command = _option(field, hint, field.default, heading, field.name)(command)
    return settings_options(*SHARED.values(), group="Fitting and words", first=MAIN)(command)


def _own_options() -> dict[str, list[tuple[Field, Any]]]:
    """The methods' own fields with their types, by the heading that names the methods that have them."""
    users: dict[str, list[str]] = {}
    known: dict[str, tuple[Field, Any]] = {}
    for name, method in METHODS.items():
        hints = get_type_hints(method.settings)
        for field in fields(method.settings):
            users.setdefault(field.name, []).append(name)
            known.setdefault(field.name, (field, hints[field.name]))
    groups: dict[str, list[tuple[Field, Any]]] = {}
    for name, methods in users.items():
        groups.setdefault(f"Only with {' and '.join(methods)}", []).append(known[name])
    return groups


def recipe_names() -> list[str]:
    """Every option that `recipe_options` adds, by the name of its value."""
    shared = [f.name for cls in SHARED.values() for f in fields(cls)]
    return shared + [field.name for own in _own_options().values() for field, _ in own]


def build_recipe(values: dict[str, Any], ctx: click.Context) -> Recipe:
    """The recipe of parsed option values, which are taken out of them.

    An option of another method that was given all the same is a usage error that names it.
    """
    given = {name: values.pop(name) for name in recipe_names() if name in values}
    try:
        method = method_of(given["method"])
        mine = {f.name for cls in (*SHARED.values(), method.settings) for f in fields(cls)}
        if wrong := [option(name) for name in given if name not in mine and was_given(ctx, name)]:
            raise click.UsageError(f"{', '.join(wrong)}: no effect with --method {given['method']}; leave out")
        return Recipe(**{name: build(cls, given) for name, cls in SHARED.items()}, own=build(method.settings, given))
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def was_given(ctx: click.Context, name: str) -> bool:
    """Whether an option stands on the command line or in a file: what a preset says is no wish of the user's."""
    return ctx.get_parameter_source(name) in GIVEN and name not in ctx.meta.get(FROM_PRESET, ())


def refuse_beside(given: str, ctx: click.Context, names: Iterable[str]) -> None:
    """Raise UsageError when options were given that have no effect beside `given`, which brings its own."""
    if wrong := [option(name) for name in names if was_given(ctx, name)]:
        raise click.UsageError(f"{', '.join(wrong)}: no effect beside {given}, which has its own; leave out")


def option(name: str) -> str:
    return "--" + name.replace("_", "-")
