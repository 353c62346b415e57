"""protect photos: a folder of photos, protected file by file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from protect.cli.common import Reporter, print_json, receipt_options, shows_bar
from protect.cli.options import Grouped, build, refuse_beside, settings_options
from protect.settings.publish import PhotoSettings


@click.command(cls=Grouped, short_help="Protect a folder of photos.")
@click.argument("source", metavar="DIR", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--protector", type=click.Path(path_type=Path), help="use a protector made by `protect fit`")
@click.option("--dry-run", is_flag=True, help="say what would be done and how long it would take")
@click.option("--device", default="auto", show_default=True, help="where models run: auto, cpu, cuda, cuda:N or mps")
@click.option("--jobs", type=click.IntRange(1), help="processes that work at once  [default: one a core]")
@settings_options(PhotoSettings)
@receipt_options
@click.option(
    "--emit-web",
    is_flag=True,
    help="write opt-out files for your own web site, and sidecars for hosts that strip metadata",
)
@click.option("--json", "as_json", is_flag=True, help="print the result as JSON")
@click.option("-q", "--quiet", is_flag=True, help="no line for each file")
@click.pass_context
def photos(
    ctx: click.Context, source: Path, out: Path, protector: Path | None, dry_run: bool, device: str, jobs: int | None,
    receipt: Path | None, receipt_share: float, emit_web: bool, as_json: bool, quiet: bool, **values: Any,
) -> int:  # fmt: skip
    """Protect every photo below DIR and write it under the same name below OUT; DIR is never changed.

    The caption that is found first (--caption-from) stays as it is and goes to every place that held one; for a photo
    without any a text is suggested. Post each photo with its text: the noise only works with this text.

    The same command again does only what is new or has changed. Words that most captions have tell no photo from
    another and get no noise of their own; they are counted once, by the first run.
    """
    if protector:
        refuse_beside("--protector", ctx, ("seed", "trigger_words"))
    settings = build(PhotoSettings, values)
    from protect.jobs.photos.job import count_files, make_job
    from protect.jobs.photos.opt_out import write_web
    from protect.jobs.photos.run import protect_photos
    from protect.jobs.photos.summary import estimate, status_line, summary
    from protect.jobs.receipt.making import receipt_of_photos, with_twins
    from protect.methods.protector import Protector

    job = make_job(source, out, settings, Protector.load(protector, device) if protector else None, dry_run)
    if receipt and not dry_run:
        job = with_twins(job, receipt, receipt_share)
    if dry_run:
        about = estimate(job, jobs)
        print_json(about) if as_json else click.echo(about["text"])
        return 0
    with Reporter(count_files(job) if shows_bar(quiet) else 0, quiet, "files") as reporter:

        def report(record: Any, fresh: bool) -> None:  # beside a bar only what went wrong needs a line
            reporter.advance("" if reporter.bar and record.status == "protected" else status_line(record, fresh))

        records = list(protect_photos(job, report, jobs).values())
    if receipt:
        receipt_of_photos(job, {record.name: record for record in records}, receipt)
    if emit_web:
        write_web(out, [record.name for record in records if record.status == "protected"])
    total = summary(out, records)
    print_json(total) if as_json else click.echo(total["text"])
    return 1 if total["failed"] else 0


def status_lines(quiet: bool) -> Callable[[Any, bool], None]:
    """One line on stderr for each file, or none."""
    from protect.jobs.photos.summary import status_line

    def line(record: Any, fresh: bool) -> None:
        if not quiet:
            click.echo(status_line(record, fresh), err=True)

    return line
