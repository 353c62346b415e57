"""protect fit: phase 1."""

import shutil
from pathlib import Path
from typing import Any

import click

from protect.cli.common import Reporter, preset_options, print_json
from protect.cli.options import Grouped, build_recipe, recipe_options
from protect.settings.publish import PublishSettings


@click.command(cls=Grouped, short_help="Fit a protector on shards or photos, to protect any number of them with.")
@click.argument("shards", nargs=-1, required=True)
@click.option("-o", "--out", required=True, help="folder for the protector: a path, or an address such as s3://...")
@click.option("--device", default="auto", show_default=True, help="where models run: auto, cpu, cuda, cuda:N or mps")
@preset_options
@recipe_options
@click.option("--json", "as_json", is_flag=True, help="print the result as JSON")
@click.option("-q", "--quiet", is_flag=True, help="no progress")
@click.pass_context
def fit(
    ctx: click.Context, shards: tuple[str, ...], out: str, device: str, as_json: bool, quiet: bool, **values: Any
) -> None:
    """Optimise surrogate, noise and words together on a window of SHARDS and save the result as one folder.

    SHARDS may also be one folder of photos with captions.

    A fit that is killed resumes from OUT.rounds, which goes when it is complete.

    The folder is a key: anyone who has it can find and undo your protection. Keep it private.
    """
    recipe = build_recipe(values, ctx)
    from protect.data.photo_samples import is_photo_folder
    from protect.data.shards import find_shards
    from protect.data.storage import place
    from protect.jobs.fit import fit_on_photos, fit_on_shards
    from protect.jobs.shards import save_protector
    from protect.methods.protector import check_folder

    target, rounds = place(out), None
    if isinstance(target, Path):
        check_folder(target)
        rounds = target.with_name(f"{target.name}.rounds")
    with Reporter(0, quiet) as report:
        if is_photo_folder(shards):
            protector = fit_on_photos(Path(shards[0]), recipe, report, device, rounds)
        else:
            protector = fit_on_shards(find_shards(shards), recipe, PublishSettings(), report, device, rounds=rounds)
        save_protector(protector, target)
        if rounds:
            shutil.rmtree(rounds, ignore_errors=True)
    about = {
        "protector": str(out),
        "method": recipe.fit.method,
        "pairs": protector.pairs,
        "hash": protector.hash,
    }
    if as_json:
        print_json(about)
    else:
        click.echo(f"{out}: {recipe.fit.method} fitted on {protector.pairs} pairs, hash {protector.hash[:12]}")
