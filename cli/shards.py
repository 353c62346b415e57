"""protect shards: phase 2, and phase 1 before it where no protector is given."""

from pathlib import Path
from typing import Any

import click

from protect.cli.common import Reporter, preset_options, print_json, receipt_options
from protect.cli.options import (
    Grouped,
    build,
    build_recipe,
    recipe_names,
    recipe_options,
    refuse_beside,
    settings_options,
)
from protect.jobs.executors import Distribution
from protect.settings.publish import PublishSettings


@click.command(cls=Grouped, short_help="Protect image-caption shards (webdataset tars).")
@click.argument("sources", nargs=-1, required=True, metavar="IN...")
@click.argument("out")
@click.option("--protector", metavar="FOLDER", help="use a protector made by `protect fit`")
@click.option("--dry-run", is_flag=True, help="say what would be done and how long it would take")
@click.option("--force", is_flag=True, help="protect input that this tool has protected already")
@click.option("--device", default="auto", show_default=True, help="where models run: auto, cpu, cuda, cuda:N or mps")
@receipt_options
@preset_options
@recipe_options
@settings_options(PublishSettings, group="How files are written", first=("urls", "others", "on_error", "mask"))
@settings_options(Distribution, group="Where it runs")
@click.option("--json", "as_json", is_flag=True, help="print the result, and on stderr each event, as JSON")
@click.option("-q", "--quiet", is_flag=True, help="no progress")
@click.pass_context
def shards(
    ctx: click.Context, sources: tuple[str, ...], out: str, protector: str | None, dry_run: bool, force: bool,
    device: str, receipt: Path | None, receipt_share: float, as_json: bool, quiet: bool, **values: Any,
) -> int:  # fmt: skip
    """Protect the shards IN (folders, tars or ranges such as 'in/{00000..00007}.tar') and write them to OUT.

    IN, OUT and FOLDER are paths, or addresses such as s3://BUCKET/FOLDER, gs:// and az://.
    """
    if protector:
        refuse_beside("--protector", ctx, recipe_names())
    if receipt:  # twins are made from all shards of a run, by the process that has the coins
        refuse_beside("--receipt", ctx, ["part", "distributor", "workers", "retry_failed", "shard_timeout", "tries"])
    recipe, publish, how = build_recipe(values, ctx), build(PublishSettings, values), build(Distribution, values)
    from protect.jobs.plan import make_plan

    plan = make_plan(sources, out, publish, force)  # refuses what cannot be before anything slow is imported
    from protect.data.scratch import folder_at_hand
    from protect.data.storage import place
    from protect.jobs.estimate import estimate
    from protect.jobs.receipt.making import protect_with_receipt
    from protect.jobs.shards import protect_shards
    from protect.jobs.summary import summary
    from protect.methods.protector import Protector

    given = Protector.load(folder_at_hand(place(protector)), device) if protector else None
    if dry_run:
        about = estimate(plan, recipe, given, device)
        print_json(about) if as_json else click.echo(about["text"])
        return 0
    with Reporter(len(plan.shards), quiet, as_json=as_json) as report:
        if receipt:
            results = protect_with_receipt(plan, recipe, given, report, device, receipt, receipt_share)
        else:
            results = protect_shards(plan, recipe, given, report, device, how)
    total = summary(plan, results)
    print_json(total) if as_json else click.echo(total["text"])
    bad = ("failed_to_protect", "broken_shards", "triggers_cut", "leaks", "unread")
    return 1 if any(total[name] for name in bad) else 0
