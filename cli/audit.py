"""protect audit: was a model trained on what I published?"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from protect.cli.common import print_json
from protect.settings.unlearn import GEOMETRIES, UnlearnSettings


@click.command(short_help="Was this model trained on my files? Needs a receipt.")
@click.argument("model")
@click.option("--receipt", type=click.Path(path_type=Path), required=True,
              help="the folder that `protect photos --receipt` or `protect shards --receipt` wrote")  # fmt: skip
@click.option("--weights", help="weights of MODEL: a checkpoint, or an open_clip tag")
@click.option("--alpha", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.05, show_default=True,
              help="share of models that never saw your files and may be named all the same")  # fmt: skip
@click.option("--size", type=click.IntRange(1), help="pixels a side that the model takes  [default: its own]")
@click.option(
    "--geometry",
    type=click.Choice(GEOMETRIES),
    default="auto",
    show_default=True,
    help="space that the embeddings lie in",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps")
@click.option("--json", "as_json", is_flag=True, help="print everything as JSON")
def audit(
    model: str, receipt: Path, weights: str | None, alpha: float, as_json: bool, **values: Any
) -> None:  # fmt: skip
    """Say whether MODEL was trained on your published files, by a receipt.

    For a receipt each picture is protected in two ways, the twins: a private coin decides which is published, and the
    other is kept back. A model that was trained on your files knows the published twins better; one that was not
    cannot tell them apart, and is wrongly said to have been trained on them with probability alpha at most.

    MODEL is an open_clip name with --weights, tiny-resnet, tiny-vit, or a folder of a Hugging Face CLIP.
    """
    from protect.jobs.receipt.asking import audit_use, to_text

    found = audit_use(model, weights, receipt, UnlearnSettings(**values), alpha)
    print_json(asdict(found)) if as_json else click.echo(to_text(found))
