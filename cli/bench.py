"""protect bench: methods and external protected files beside each other, from a clean set to a table."""

from pathlib import Path

import click

from protect.settings.verify import VerifySettings

from .common import Reporter
from .options import CommaList, build, settings_options
from .trainings import TrainingProgress

METHODS = ("clean", "random", "em", "mem", "instant")


@click.command(short_help="Compare methods, and others' protected files, on one clean set.")
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), required=True, help="folder for everything; rerun to resume"
)
@click.option(
    "--methods", type=CommaList(str), default=",".join(METHODS), show_default=True, help="how DATA is protected"
)
@click.option("--entry", "entries", multiple=True, metavar="NAME=FOLDER", help="files that were protected elsewhere")
@click.option("--seed", default=0, show_default=True, help="seed of the methods, not of the attackers")
@settings_options(VerifySettings, overrides={"seeds": 3, "mix": ()}, names={"countermeasures": "rows"})
def bench(data, out, methods, entries, seed, **values):
    """Protect the shards DATA by each method, train attackers on the files, and write one table of all.

    DATA holds shards, of which about a tenth is held out as the test, or the folders train and test.
    """
    from protect.jobs.entries import known_methods, protected_by
    from protect.verify.bench import bench
    from protect.verify.report.leaderboard import NAME, to_text

    settings, sources = build(VerifySettings, values), dict[str, str]()
    methods, external = known_methods(list(methods)), [entry.partition("=") for entry in entries]
    names = [*methods, *(name for name, _, _ in external)]
    if not all(all(parts) and "/" not in parts[0] for parts in external) or len(set(names)) < len(names):
        raise click.UsageError(f"--entry: expected NAME=FOLDER, each name once, got {', '.join(entries)}")
    clean, test = data / "train", data / "test"
    source, asked = (str(clean), str(test)) if clean.is_dir() and test.is_dir() else (str(data), None)
    with Reporter(0, False) as report:
        for name in methods:
            report.say(f"{name}: protecting")
            made = out / "published" / name
            sources[name] = protected_by(name, source, made, settings.size, seed, report, settings.device)
    sources |= {name: folder for name, _, folder in external}
    with TrainingProgress() as progress:
        results, failed = bench(source, sources, asked, settings, out, progress)
    for line in [*to_text(results), f"table: {out / NAME}.md, .html and .json"]:
        click.echo(line)
    return 1 if failed else 0
