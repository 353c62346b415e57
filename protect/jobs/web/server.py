"""The server of the local page: how it is put together, starts and ends."""

import secrets
import socket
import webbrowser
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from importlib.resources import files
from pathlib import Path

import uvicorn
from jinja2 import Environment
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from protect.files import HOME
from protect.jobs.photos.gallery import page_part
from protect.jobs.web.guard import Guard
from protect.jobs.web.handlers import Handlers
from protect.jobs.web.photos import Photos
from protect.jobs.web.uploads import Uploads
from protect.jobs.web.work import Work, private_folder, usual
from protect.settings.publish import STRENGTHS, PhotoSettings
from protect.settings.recipe import LANGUAGES
from protect.settings.web import WebSettings

ADDRESS = "127.0.0.1"
ASSETS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
OWN = ("web.css", "web.js", "icon.svg")
SHARED = ("gallery.css", "shared.js")  # with the gallery
TOKEN_BYTES = 24
LAST_REQUESTS = 3  # seconds that those going on get when the server ends


def make_app(
    out: Path, settings: PhotoSettings, limits: WebSettings, token: str, port: int, key_folder: Path | None = None,
    quit: Callable[[], None] = lambda: None,
) -> Guard:  # fmt: skip
    """The page over one OUT. Raises PlanError where another server has it, ValueError on a damaged key."""
    private = private_folder(out, key_folder)
    uploads = Uploads(out / HOME / "private" / "uploads", limits)
    photos = Photos(out)
    work = Work(out, private, settings, photos, uploads, limits.jobs)
    handlers = Handlers(limits, settings, photos, uploads, work)
    text = page(out, private, settings, limits)

    async def show(request: Request) -> Response:
        return HTMLResponse(text)

    async def end(request: Request) -> Response:
        quit()
        return JSONResponse({})

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            work.close()
            uploads.close()

    inside: list[BaseRoute] = [Route("/", show), *map(_asset, (*OWN, *SHARED)), Route("/quit", end, methods=["POST"])]
    routes = [Mount(f"/{token}", routes=[*inside, *handlers.routes()])]
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers={HTTPException: _in_words})
    return Guard(app, token, (f"{ADDRESS}:{port}", f"localhost:{port}"))


def serve(
    out: Path, settings: PhotoSettings, limits: WebSettings, key_folder: Path | None = None,
    say: Callable[[str], None] = print, browser: bool = True,
    started: Callable[[uvicorn.Server], None] = lambda server: None,
) -> None:  # fmt: skip
    """Serves the page until its user closes it, or presses Ctrl-C.

    `say` is told its address, `started` is given the server: who sets its `should_exit` ends it.
    """
    with socket.create_server((ADDRESS, limits.port or 0)) as listening:
        port, token = listening.getsockname()[1], secrets.token_urlsafe(TOKEN_BYTES)
        server: uvicorn.Server

        def quit() -> None:
            server.should_exit = True

        app = make_app(out, settings, limits, token, port, key_folder, quit)
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, proxy_headers=False, server_header=False, ws="none",
            timeout_graceful_shutdown=LAST_REQUESTS,
        )  # fmt: skip
        server = uvicorn.Server(config)
        started(server)
        address = f"http://{ADDRESS}:{port}/{token}/"
        say(address)
        if browser:
            webbrowser.open(address)
        with suppress(KeyboardInterrupt):
            server.run(sockets=[listening])


def page(out: Path, private: Path, settings: PhotoSettings, limits: WebSettings) -> str:
    """The page, with what it has to say of this server."""
    template = Environment(autoescape=True).from_string(_part("web.html"))
    strengths = [(name, strength.effect) for name, strength in STRENGTHS.items()]
    chosen = list(STRENGTHS).index(settings.strength)
    places = {"out": out.absolute(), "private": private.absolute()}
    return template.render(
        strengths=strengths, chosen=chosen, languages=LANGUAGES, language=usual(settings).language, **places
    )


def _asset(name: str) -> Route:
    async def show(request: Request) -> Response:
        return Response(text, media_type=ASSETS[Path(name).suffix])

    text = page_part(name) if name in SHARED else _part(name)
    return Route(f"/{name}", show)


def _part(name: str) -> str:
    return (files("protect.jobs.web") / "page" / name).read_text("utf-8")


async def _in_words(request: Request, error: Exception) -> Response:
    """Errors as the page reads them."""
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code)
