"""protect verify: what an attacker learns from the published files."""

from pathlib import Path

import click

from protect.settings.verify import VerifySettings

from .options import build, settings_options
from .trainings import TrainingProgress


@click.command()
@click.argument("clean")
@click.argument("protected")
@click.option("--test", help="clean pairs to judge attackers on  [default: a tenth of CLEAN, held out]")
@click.option("--arm", "arms", multiple=True, metavar="NAME=FILES", help="further protected files; may be repeated")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="folder for reports and finished trainings; rerun to resume"
)
@click.option("--cheap", is_flag=True, help="train nothing: look for leaks, measure distortion and detectability")
@click.option("--json", "as_json", is_flag=True, help="print JSON instead of tables")
@settings_options(VerifySettings)
def verify(clean, protected, test, arms, out, cheap, as_json, **values):
    """Train attackers on CLEAN and PROTECTED shards or photo folders as published, and compare what they learn."""
    from protect.verify.comparison import check, compare
    from protect.verify.report import to_dict, to_json, to_text

    settings, further = build(VerifySettings, values), dict[str, str]()
    for arm in arms:
        name, equals, source = arm.partition("=")
        if not (name and equals and source) or name in further:
            raise click.UsageError(f"--arm: expected NAME=FILES with a new name, got {arm!r}")
        further[name] = source
    if cheap and settings.require:
        raise click.UsageError("--require: expected a comparison that trains, got --cheap; drop one of them")
    with TrainingProgress() as progress:
        if cheap:
            result = check(clean, protected, settings, out, progress)
        else:
            result = compare(clean, protected, test, settings, further, out, progress)
    click.echo(to_json(to_dict(result)).rstrip() if as_json else to_text(result))
    return 0 if result.passed else 1
