"""protect status: how far a run is."""

import click

from protect.cli.common import print_json


@click.command(short_help="Say how far a run of `protect shards` is, wherever it runs.")
@click.argument("out")
@click.option("--part", metavar="I/N", help="of part I of N alone, counted from 0")
@click.option("--json", "as_json", is_flag=True, help="print it as JSON")
def status(out: str, part: str | None, as_json: bool) -> int:
    """Read from OUT which shards are done, to do or failed, how fast it goes, and how long it will take.

    OUT is a path, or an address such as s3://BUCKET/FOLDER. Exit code 1: shards have failed.
    """
    from protect.jobs.parts import part_of
    from protect.jobs.status import lines, status

    found = status(out, part_of(part) if part else None)
    print_json(found.to_dict()) if as_json else click.echo("\n".join(lines(found)))
    return 1 if found.failed else 0
