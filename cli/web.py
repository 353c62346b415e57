"""protect web: a local page to protect photos on."""

from pathlib import Path
from typing import Any

import click

from protect.cli.options import Grouped, build, settings_options
from protect.data.optional import missing
from protect.settings.publish import PhotoSettings
from protect.settings.web import WebSettings


@click.command(cls=Grouped, short_help="Protect photos on a page in your browser.")
@click.argument("out", default="protected-photos", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--key-folder", type=click.Path(path_type=Path, file_okay=False),
    help="where the key is kept  [default: OUT/_protect/private]",
)  # fmt: skip
@click.option("--browser/--no-browser", default=True, show_default=True, help="open the page in the browser")
@settings_options(WebSettings)
@settings_options(PhotoSettings, group="How photos are protected", first=("strength",))
def web(out: Path, key_folder: Path | None, browser: bool, **values: Any) -> int:
    """Open a page on this computer: drop photos, see what changes, download them protected.

    Does what `protect photos` does, with the same bytes for the same key. Protected photos are kept in OUT
    (protected-photos unless given). The page is served to this computer alone, and nothing is sent anywhere.
    """
    settings, limits = build(PhotoSettings, values), build(WebSettings, values)
    try:
        from protect.jobs.web.server import serve
    except ImportError as error:
        raise missing("the page", "web") from error

    def say(address: str) -> None:
        click.echo(f"{address}\nopen this address in a browser on this computer; stop with Ctrl-C")

    serve(out, settings, limits, key_folder, say, browser)
    return 0
