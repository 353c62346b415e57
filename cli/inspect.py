"""protect inspect: what was done."""

import click

from protect.cli.common import print_json

COLUMNS = ("shard", "count", "protected", "failed_to_protect", "linf", "psnr", "ssim", "trigger_survival")


@click.command(short_help="Show what was done: stats, a contact sheet, leaks.")
@click.argument("out")
@click.option("-n", "--samples", default=8, show_default=True, help="samples on the contact sheet")
@click.option("--seed", default=0, show_default=True, help="which samples")
@click.option(
    "--against",
    metavar="IN",
    help="the clean files, where they are no longer where the run found them",
)
@click.option("--json", "as_json", is_flag=True, help="print the result as JSON")
def inspect(out: str, samples: int, seed: int, against: str | None, as_json: bool) -> int:
    """Read OUT of `protect shards` or `protect photos` again: what still leads to the originals, and a contact sheet.

    Every text, hash and picture in OUT is compared with the clean files, where these are at hand.
    """
    from protect.jobs.inspection import inspect_run

    found = inspect_run(out, samples, seed, against)
    if as_json:
        leaks = [vars(leak) for leak in found.leaks]
        about = {"shards": found.rows, "contact_sheet": found.sheet and str(found.sheet), "checked": found.checked}
        print_json(about | {"leaks": leaks})
        return 1 if found.leaks else 0
    click.echo(f"leaks: {len(found.leaks) or 'none found'} (compared with {found.checked})")
    for leak in found.leaks[:20]:
        click.echo(f"  {leak.shard} {leak.key}: {leak.kind}: {leak.detail}")
    if found.rows:
        click.echo("  ".join(name.rjust(max(9, len(name))) for name in COLUMNS))
    for row in found.rows:
        click.echo("  ".join(_cell(row[name]).rjust(max(9, len(name))) for name in COLUMNS))
    if found.rows:
        click.echo(f"contact sheet: {found.sheet or 'none, the originals are not where they were'}")
    return 1 if found.leaks else 0


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "-" if value is None else str(value)
