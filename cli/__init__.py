"""The command line: each command parses, makes one library call and prints."""

import sys
from importlib import import_module

import click

import protect

COMMANDS = (
    *("fit", "shards", "status", "photos", "watch", "web", "check", "inspect"),
    *("verify", "bench", "unlearn", "audit"),
)


class Lazy(click.Group):
    """Imports a command when it is asked for, so that help stays fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        return getattr(import_module(f"protect.cli.{name}"), name)


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(protect.__version__, prog_name="protect")
def cli() -> None:
    """Protect published image-caption pairs from being learned by CLIP-style models."""


def main() -> None:
    """Entry point: errors are one line; exit codes 0 done, 1 some failed, 2 usage or I/O, 130 interrupted."""
    try:
        status = cli.main(prog_name="protect", standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("interrupted: what is finished is kept; rerun the command to resume", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except OSError as error:
        click.echo(f"error: {one_line(error)}; fix this and rerun the command to resume", err=True)
        sys.exit(2)
    except (ValueError, ImportError, MemoryError) as error:
        click.echo(f"error: {one_line(error)}", err=True)
        sys.exit(2)
    sys.exit(status or 0)


def one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
