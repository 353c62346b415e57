"""Options and output that commands share: presets, config files, progress."""

import json
import sys
import tomllib
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from protect.cli.options import FROM_PRESET
from protect.methods.recipe import PRESETS


def preset_options(command: Any) -> Any:
    """Adds --preset and --config: command line over file over preset over defaults."""
    config = click.option(
        "--config", type=click.Path(exists=True, dir_okay=False, path_type=Path), is_eager=True,
        expose_value=False, callback=_read_config, help="TOML file with option names and values",
    )  # fmt: skip
    preset = click.option(
        "--preset", type=click.Choice(list(PRESETS)), default="default", is_eager=True, expose_value=False,
        callback=_use_preset, show_default=True, help="a set of values: `paper` is MEM as published",
    )  # fmt: skip
    return preset(config(command))


def _use_preset(ctx: click.Context, param: click.Parameter, value: str) -> None:
    own = ctx.default_map or {}
    ctx.meta[FROM_PRESET] = set(PRESETS[value]) - set(own)
    ctx.default_map = {**PRESETS[value], **own}


def _read_config(ctx: click.Context, param: click.Parameter, path: Path | None) -> None:
    if path is None:
        return
    try:
        values = tomllib.loads(path.read_text())
    except (ValueError, OSError) as error:
        raise click.UsageError(f"{path}: expected a TOML file, got: {error}") from error
    known = {p.name for p in ctx.command.params}
    values = {name.replace("-", "_"): value for name, value in values.items()}
    if unknown := sorted(set(values) - known):
        raise click.UsageError(f"{path}: expected options of `protect {ctx.info_name}`, got {', '.join(unknown)}")
    ctx.meta[FROM_PRESET] = ctx.meta.get(FROM_PRESET, set()) - set(values)
    ctx.default_map = {**(ctx.default_map or {}), **values}


def receipt_options(command: Any) -> Any:
    """Adds --receipt and --receipt-share."""
    share = click.option(
        "--receipt-share", type=click.FloatRange(0, 1, min_open=True), default=1.0, show_default=True,
        help="share of the pictures that have a twin in the receipt",
    )  # fmt: skip
    folder = click.option(
        "--receipt", type=click.Path(path_type=Path, file_okay=False),
        help="private folder for a receipt: twins kept back, by which `protect audit` finds out who trained on OUT",
    )  # fmt: skip
    return folder(share(command))


class Reporter:
    """Progress on stderr: a bar on a terminal, else one line for every event; silent with -q."""

    def __init__(self, total: int, quiet: bool, what: str = "shards") -> None:
        self.quiet = quiet
        self.bar: Progress | None = None
        if shows_bar(quiet):
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
            )
            self.bar = Progress(*columns, console=Console(stderr=True))
            self.task = self.bar.add_task(what, total=total)
            self.bar.start()

    def __enter__(self) -> "Reporter":
        return self

    def __exit__(self, *error: object) -> None:
        if self.bar:
            self.bar.stop()

    def __call__(self, event: Any) -> None:
        """A line of text, or a finished shard."""
        if isinstance(event, str):
            self.say(event)
        else:
            self.advance(describe(event))

    def advance(self, line: str) -> None:
        """One more is done, and a line says which."""
        self.say(line)
        if self.bar:
            self.bar.advance(self.task)

    def say(self, line: str) -> None:
        """A line, unless it is empty."""
        if self.bar and line:
            self.bar.console.print(line, markup=False, highlight=False)
        elif line and not self.quiet:
            _line(line)


def shows_bar(quiet: bool) -> bool:
    """Whether progress is shown as a bar."""
    return not quiet and sys.stderr.isatty()


def _line(text: str) -> None:
    click.echo(text, err=True)


def describe(done: Any) -> str:
    """One line on a finished shard."""
    stats = done.stats
    if not done.seconds:
        return f"{done.name}: done before, {stats['protected']} of {stats['count']} protected"
    rate = stats["count"] / done.seconds
    failures = f", {stats['failed_to_protect']} failed" if stats["failed_to_protect"] else ""
    left = f", about {done.left * done.seconds:.0f} s left" if done.left else ""
    return f"{done.name}: {stats['protected']} of {stats['count']} protected{failures}, {rate:.1f} images/s{left}"


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2))
