"""protect inspect: what was done."""

from pathlib import Path

import click

from protect.cli.common import print_json

COLUMNS = ("shard", "count", "protected", "failed_to_protect", "linf", "psnr", "ssim", "trigger_survival")


@click.command(short_help="Show what was done: stats, a contact sheet, leaks.")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("-n", "--samples", default=8, show_default=True, help="samples on the contact sheet")
@click.option("--seed", default=0, show_default=True, help="which samples")
@click.option("--json", "as_json", is_flag=True, help="print the result as JSON")
def inspect(out: Path, samples: int, seed: int, as_json: bool) -> int:
    """Read the OUT of `protect shards` again: a table, a contact sheet PNG, and what still leads to the originals."""
    from protect.jobs.inspection import inspect_run

    result = inspect_run(out, samples, seed)
    if as_json:
        leaks = [vars(leak) for leak in result.leaks]
        print_json({"shards": result.rows, "contact_sheet": result.sheet and str(result.sheet), "leaks": leaks})
        return 1 if result.leaks else 0
    click.echo("  ".join(name.rjust(max(9, len(name))) for name in COLUMNS))
    for row in result.rows:
        click.echo("  ".join(_cell(row[name]).rjust(max(9, len(name))) for name in COLUMNS))
    click.echo(f"contact sheet: {result.sheet or 'none, the originals are not where they were'}")
    click.echo(f"leaks: {len(result.leaks) or 'none found'}")
    for leak in result.leaks[:20]:
        click.echo(f"  {leak.shard} {leak.key}: {leak.kind}: {leak.detail}")
    return 1 if result.leaks else 0


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "-" if value is None else str(value)
