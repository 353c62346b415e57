"""protect check: what a site left of the protection."""

from pathlib import Path

import click

from protect.cli.common import print_json
from protect.settings.recipe import USUAL_SIZE

PLACE = click.Path(path_type=Path)


@click.command(short_help="After posting: how much of the protection did the site leave?")
@click.argument("mine", type=PLACE)
@click.argument("downloaded", type=PLACE)
@click.option(
    "--original",
    type=PLACE,
    help="the original of MINE, or the folder of originals: with it the figures are most exact",
)
@click.option("--caption", help="the text that stands beside the photo on the site")
@click.option(
    "--seed", type=click.IntRange(0), help="the key that MINE was protected with, where it was given with --seed"
)
@click.option(
    "--size",
    type=click.IntRange(32),
    default=USUAL_SIZE,
    show_default=True,
    help="shorter side, in pixels, of the pictures that a model is trained on",
)
@click.option("--json", "as_json", is_flag=True, help="print the result as JSON")
def check(
    mine: Path,
    downloaded: Path,
    original: Path | None,
    caption: str | None,
    seed: int | None,
    size: int,
    as_json: bool,
) -> int:
    """Compare MINE, a protected photo or the OUT of `protect photos`, with what was DOWNLOADED from a site.

    Photos are matched by content: names, crops, other sizes, other formats and screenshots do not matter.
    """
    from protect.jobs.check import report
    from protect.jobs.check.folder import check_all
    from protect.jobs.check.pair import Check

    checks = []
    for one in check_all(mine, downloaded, seed, original, caption, size):
        checks.append(one)
        if not as_json:
            click.echo("\n".join(report.lines(one)))
    print_json(report.to_json(checks)) if as_json else click.echo("\n".join(report.total(checks)))
    return 0 if all(isinstance(one, Check) and one.same for one in checks) else 1
