"""A page over an OUT, asked as a browser asks it, without a browser."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from protect.jobs.web.server import make_app
from protect.settings.publish import PhotoSettings
from protect.settings.web import WebSettings

TOKEN, PORT = "a-token", 8123
ORIGIN = f"http://127.0.0.1:{PORT}"


class Page:
    """What the page's script does, one call each."""

    def __init__(self, client: TestClient) -> None:
        self.client = client

    def ask(self, method: str, path: str, **options: Any) -> Any:
        return self.client.request(method, f"/{TOKEN}/{path}", **options)

    def drop(self, files: dict[str, bytes]) -> dict[str, int]:
        """Drops files at once, texts first; the numbers of the photos by name."""
        given = self.ask("POST", "drop", json={"names": list(files)}).json()
        uses = list(zip(files.items(), given["files"], strict=True))
        for number, ((_, data), use) in enumerate(uses):
            if use["kind"] == "text":
                assert self.ask("PUT", f"drop/{given['drop']}/{number}", content=data).status_code == 200
        photos = {name: (use["id"], data) for (name, data), use in uses if use["kind"] == "photo"}
        for id, data in photos.values():
            self.ask("PUT", f"photos/{id}", content=data)
        return {name: id for name, (id, _) in photos.items()}

    def photos(self) -> dict[str, dict[str, Any]]:
        """All photos by name, as the page shows them."""
        return {photo["name"]: photo for photo in self.ask("GET", "state").json()["photos"]}

    def protect(self, strength: str = "balanced", **options: str) -> dict[str, dict[str, Any]]:
        """Runs to the end; the photos by name."""
        assert self.ask("POST", "start", json={"strength": strength, **options}).status_code == 200
        while self.ask("GET", "state").json()["run"]["running"]:
            time.sleep(0.02)
        return self.photos()

    def download(self, id: int) -> bytes:
        return bytes(self.ask("GET", f"photos/{id}/file").content)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """serve(out, limits, key_folder, settings=...): a page; a second one on the same OUT ends the first."""
    running: list[TestClient] = []

    def close() -> None:
        for client in running:
            client.__exit__(None, None, None)
        running.clear()

    def start(
        out: Path = tmp_path / "out", limits: WebSettings | None = None, key_folder: Path | None = None,
        settings: PhotoSettings | None = None, again: bool = True,
    ) -> Page:  # fmt: skip
        if again:
            close()
        settings = settings or PhotoSettings(seed=7)
        app = make_app(out, settings, limits or WebSettings(jobs=1), TOKEN, PORT, key_folder)
        client = TestClient(app, base_url=ORIGIN, headers={"origin": ORIGIN})
        client.__enter__()
        running.append(client)
        return Page(client)

    yield start
    close()
