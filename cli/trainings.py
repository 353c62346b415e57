"""Progress of trainings on stderr: live lines and a bar on a terminal, else one line for every event."""

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from .common import shows_bar


class TrainingProgress:
    """A callback for what a comparison says: each running training has a live line, all together have a bar."""

    def __init__(self) -> None:
        self.bars: Progress | None = None
        self.running: dict[str, TaskID] = {}
        if shows_bar(quiet=False):
            columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
            self.bars = Progress(*columns, console=Console(stderr=True))
            self.whole = self.bars.add_task("all trainings", total=None)

    def __enter__(self) -> "TrainingProgress":
        if self.bars:
            self.bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.bars:
            self.bars.stop()

    def __call__(self, line: str) -> None:
        """A plain line, one about a training (with `run` and `share`) or one about all (with `done` and `total`)."""
        if self.bars is None:
            click.echo(line, err=True)
        elif hasattr(line, "total"):
            self.bars.update(self.whole, completed=line.done, total=line.total, description=f"{line}")
            self.bars.refresh()
        elif hasattr(line, "share"):
            self._move(self.bars, line.run, line, line.share)
        else:
            self.bars.console.print(line, markup=False, highlight=False)

    def _move(self, bars: Progress, run: str, text: str, share: float) -> None:
        """The live line of a training; a finished one is printed above the bars and has no live line any more."""
        if run not in self.running:
            self.running[run] = bars.add_task("", total=1.0)
        bars.update(self.running[run], completed=share, description=str(text))
        if share >= 1:
            bars.remove_task(self.running.pop(run))
            bars.console.print(text, markup=False, highlight=False)
