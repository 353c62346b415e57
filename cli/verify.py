"""protect verify: what an attacker learns from the published files."""

import json
from pathlib import Path

import click

from protect.settings import VerifySettings

from .options import build, settings_options


@click.command()
@click.argument("clean")
@click.argument("protected")
@click.option("--test", help="clean pairs that no arm holds  [default: a tenth of CLEAN, held out]")
@click.option("--arm", "arms", multiple=True, metavar="NAME=SHARDS", help="a further arm; may be repeated")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="folder for reports and finished runs; run again to go on"
)
@click.option("--json", "as_json", is_flag=True, help="print everything as JSON instead of the table")
@settings_options(VerifySettings)
def verify(clean, protected, test, arms, out, as_json, **values):
    """Train attackers on CLEAN and PROTECTED shards as published, and compare what they learn."""
    from protect.verify.arms import compare
    from protect.verify.result import to_dict, to_text

    settings = build(VerifySettings, values)
    sources = {"protected": protected}
    for arm in arms:
        name, equals, source = arm.partition("=")
        if not (name and equals and source) or name in sources:
            raise click.UsageError(f"--arm: expected NAME=SHARDS with a new name, got {arm!r}")
        sources[name] = source
    found = compare(clean, sources, test, settings, out, lambda line: click.echo(line, err=True))
    click.echo(json.dumps(to_dict(found), indent=1) if as_json else to_text(found))
