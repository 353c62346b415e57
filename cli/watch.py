"""protect watch: photos protected as they are dropped into a folder."""

from pathlib import Path
from typing import Any

import click

from protect.cli.options import Grouped, build, refuse_beside, settings_options
from protect.cli.photos import status_lines
from protect.settings.publish import PhotoSettings


@click.command(cls=Grouped, short_help="Protect photos as they are dropped into a folder.")
@click.argument("source", metavar="DIR", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--protector", type=click.Path(path_type=Path), help="use a protector made by `protect fit`")
@click.option("--interval", default=2.0, show_default=True, help="seconds between two looks into DIR")
@click.option("--device", default="auto", show_default=True, help="where models run: auto, cpu, cuda, cuda:N or mps")
@settings_options(PhotoSettings)
@click.option("-q", "--quiet", is_flag=True, help="no line for each file")
@click.pass_context
def watch(
    ctx: click.Context, source: Path, out: Path, protector: Path | None, interval: float, device: str, quiet: bool,
    **values: Any,
) -> int:  # fmt: skip
    """Protect what is in DIR and what is dropped into it, as `protect photos` does, until stopped with Ctrl-C.

    Which words are frequent is counted once, in the captions that are in DIR when OUT is made.
    """
    if protector:
        refuse_beside("--protector", ctx, ("seed", "trigger_words"))
    settings = build(PhotoSettings, values)
    if not interval > 0:
        raise click.UsageError(f"--interval: expected seconds above 0, got {interval:g}")
    from protect.jobs.photos.job import make_job
    from protect.jobs.photos.summary import summary
    from protect.jobs.photos.watch import watch as watch_folder
    from protect.methods.protector import Protector

    job = make_job(source, out, settings, Protector.load(protector, device) if protector else None)
    if not quiet:
        click.echo(f"watching {source}: stop with Ctrl-C", err=True)
    records = watch_folder(job, status_lines(quiet), interval)
    click.echo(summary(out, list(records.values()))["text"])
    return 1 if any(record.status == "failed" for record in records.values()) else 0
