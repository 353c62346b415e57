"""Options and output that commands share: presets, config files, progress."""

import json
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

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
        help="share of the pictures that the receipt covers",
    )  # fmt: skip
    folder = click.option(
        "--receipt", type=click.Path(path_type=Path, file_okay=False),
        help="private folder for a receipt, by which `protect audit` later tells whether a model was trained on OUT",
    )  # fmt: skip
    return folder(share(command))


class Reporter:
    """Progress on stderr: bars on a terminal, else one line for every event; silent with -q.

    as_json: events are JSON objects, one a line, for machines.
    """

    def __init__(self, total: int, quiet: bool, what: str = "shards", as_json: bool = False) -> None:
        self.quiet, self.as_json = quiet, as_json
        self.bar: Progress | None = None
        self._shards: dict[str, Any] = {}  # rich's tasks of shards in work, by name
        if shows_bar(quiet) and not as_json:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[done]}"),
                TimeRemainingColumn(elapsed_when_finished=True),
            )
            self.bar = Progress(*columns, console=Console(stderr=True))
            self.task = self.bar.add_task(what, total=total, done=f"0/{total}")
            self.pictures, self.begin, self.total = 0, time.monotonic(), total
            self.bar.start()

    def __enter__(self) -> "Reporter":
        return self

    def __exit__(self, *error: object) -> None:
        if self.bar:
            self.bar.stop()

    def __call__(self, event: Any) -> None:
        """A line of text, pictures done in a shard, or a finished shard."""
        if self.as_json:
            if not self.quiet:
                _line(json.dumps(as_event(event)))
        elif isinstance(event, str):
            self.say(event)
        elif hasattr(event, "stats"):
            self._end(event.name, event.stats["count"] if event.seconds else 0)
            self.advance(describe(event))
        else:
            self._in_work(event.name, event.done)

    def advance(self, line: str) -> None:
        """One more is done, and a line says which."""
        self.say(line)
        if self.bar:
            self.bar.advance(self.task)
            self._count(0)

    def say(self, line: str) -> None:
        """A line, unless it is empty."""
        if self.bar and line:
            self.bar.console.print(line, markup=False, highlight=False)
        elif line and not self.quiet:
            _line(line)

    def _in_work(self, name: str, pictures: int) -> None:
        """A line for a shard in work, without an end: how much is in it shows when it has been read."""
        if self.bar:
            if name not in self._shards:
                self._shards[name] = self.bar.add_task(f"  {name}", total=None, done="")
            task = self.bar.tasks[self.bar.task_ids.index(self._shards[name])]
            before, rate = task.completed, pictures / max(task.elapsed or 0, 0.001)
            self.bar.update(task.id, completed=pictures, done=f"{pictures} images, {rate:.1f} images/s")
            self._count(int(pictures - before))

    def _end(self, name: str, pictures: int) -> None:
        if self.bar:
            task = self._shards.pop(name, None)
            told = 0 if task is None else self.bar.tasks[self.bar.task_ids.index(task)].completed
            if task is not None:
                self.bar.remove_task(task)
            self._count(int(pictures - told))

    def _count(self, more: int) -> None:
        assert self.bar is not None, "only bars count"
        self.pictures += more
        rate = self.pictures / max(time.monotonic() - self.begin, 0.001)
        done = int(self.bar.tasks[0].completed)
        self.bar.update(self.task, done=f"{done}/{self.total}, {rate:.1f} images/s")


def shows_bar(quiet: bool) -> bool:
    """Whether progress is shown as a bar."""
    return not quiet and sys.stderr.isatty()


def _line(text: str) -> None:
    click.echo(text, err=True)


def describe(done: Any) -> str:
    """One line on a finished shard."""
    stats = done.stats
    if done.failure:
        return f"{done.name}: failed: {done.failure}"
    if not done.seconds:
        return f"{done.name}: done before, {stats['protected']} of {stats['count']} protected"
    rate = stats["count"] / done.seconds
    failures = f", {stats['failed_to_protect']} failed" if stats["failed_to_protect"] else ""
    left = f", about {done.seconds_left:.0f} s left" if done.seconds_left else ""
    return f"{done.name}: {stats['protected']} of {stats['count']} protected{failures}, {rate:.1f} images/s{left}"


def as_event(event: Any) -> dict[str, Any]:
    """An event for machines: `event` says which kind it is."""
    if isinstance(event, str):
        return {"event": "note", "text": event}
    if not hasattr(event, "stats"):
        return {"event": "pictures", "shard": event.name, "done": event.done}
    rate = event.stats["count"] / event.seconds if event.seconds else None
    return {
        "event": "shard",
        "shard": event.name,
        "state": "failed" if event.failure else "done" if event.seconds else "done before",
        "reason": event.failure,
        **{name: event.stats[name] for name in ("count", "protected", "failed_to_protect")},
        "seconds": round(event.seconds, 3),
        "images_per_second": rate and round(rate, 2),
        "shards_left": event.left,
        "seconds_left": event.seconds_left and round(event.seconds_left, 1),
    }


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2))
