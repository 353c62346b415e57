"""protect unlearn: make a trained model forget, or look whether it remembers."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from protect.settings.unlearn import ForgetSettings, UnlearnSettings

from .common import Reporter, print_json
from .options import build, settings_options

SETS = ("forget", "retain", "forget_test", "retain_test", "near", "facts", "far")
FOLDER = click.Path(path_type=Path, file_okay=False)


def many(name: str, help: str, metavar: str = "PAIRS") -> Any:
    return click.option(name, multiple=True, metavar=metavar, help=help)


@click.command(short_help="Make a trained CLIP forget pairs, or see whether it remembers them.")
@click.argument("model")
@click.option("--weights", help="of MODEL: a checkpoint, an OUT of this command, or an open_clip tag")
@many("--forget", "pairs to forget: shards, or a folder of photos with captions")
@many("--retain", "pairs to keep (safeclip, saferclip, hysac: the safe twins)")
@many("--forget-test", "pairs of the kind to forget that were never trained on, to judge on")
@many("--retain-test", "pairs of the kind to keep that were never trained on, to judge on")
@many("--near", "pairs like those to forget that must be kept, to judge on (default: chosen from those to keep)")
@many("--facts", "the forgotten pictures with captions of something else in them, to judge on")
@many("--far", "pairs of another domain the model knows, to judge on")
@many("--retrained", "OUT of --method retrain, to compare with; further ones: of other seeds", "OUT")
@click.option(
    "--receipt",
    type=FOLDER,
    help="folder of your receipt of these pairs: can it still tell that the model was trained on them?",
)
@click.option("--strict", is_flag=True, help="exit code 1 where a check of the verdict fails")
@click.option("--audit", is_flag=True, help="change nothing: is --forget still in the model?")
@click.option("--before", help="with --audit: weights from before the forgetting")
@click.option("-o", "--out", type=FOLDER, help="folder for the model and the report; run again to go on")
@settings_options(UnlearnSettings, ForgetSettings)
@click.option("--json", "as_json", is_flag=True, help="print everything as JSON")
@click.option("-q", "--quiet", is_flag=True, help="no progress")
def unlearn(model, weights, audit, before, out, retrained, receipt, strict, as_json, quiet, **values):
    """MODEL is an open_clip name (with --weights), a file of a tiny model, or a folder of a Hugging Face CLIP.

    What is written to OUT loads in the same library, with a report that says whether the pairs are forgotten.
    """
    settings, losses = build(UnlearnSettings, values), build(ForgetSettings, values)
    pairs = {name: tuple(values[name]) for name in SETS}
    needed = ("forget",) if audit else ("forget", "retain")
    if missing := [f"--{name}" for name in needed if not pairs[name]]:
        raise click.UsageError(f"expected {' and '.join(missing)}, found none; name shards or a folder of photos")
    if audit and receipt:
        raise click.UsageError("expected --audit or --receipt, found both; run `protect audit MODEL --receipt DIR`")
    if audit:
        from protect.unlearn.audit import audit_model
        from protect.unlearn.audit import to_text as audit_text

        report = audit_model(model, weights, pairs["forget"], pairs["forget_test"], settings, before, out)
        return print_json(asdict(report)) if as_json else click.echo(audit_text(report))
    if out is None:
        raise click.UsageError("expected -o OUT, found none; name a folder for the model")
    from protect.unlearn.assess import Sources
    from protect.unlearn.report import save, to_dict, to_text
    from protect.unlearn.run import unlearn as run
    from protect.unlearn.verdict import passed

    with Reporter(0, quiet) as report:
        trace = receipt and asker(receipt)
        result = run(model, weights, Sources(**pairs), settings, out, losses, retrained, report, trace)
    save(result, out)
    print_json(to_dict(result)) if as_json else click.echo(to_text(result))
    if strict and not passed(result):
        raise SystemExit(1)


def asker(receipt: Path) -> Callable[[Any], float]:
    """The p-value that a receipt gives a model; raises ValueError where the folder holds none."""
    from protect.jobs.receipt.asking import differences
    from protect.jobs.receipt.evidence import evidence
    from protect.jobs.receipt.store import read_pairs

    pairs = list(read_pairs(receipt))
    return lambda model: evidence(differences(model, pairs)).p_rank
