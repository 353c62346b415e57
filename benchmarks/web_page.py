"""The local page's server: seconds from a change to its preview, and memory over a drop of many photos.

    python benchmarks/web_page.py --photos 120

Asks the server as the page does, without a browser. Each preview is of a part of 1,280 x 600 pixels, fetched with
both of its pictures. Photos are the sample photos enlarged. Wall time depends on what else the machine does, so
processor time stands beside it.
"""

import argparse
import io
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common import ROOT, RUNS, save, table
from PIL import Image
from starlette.testclient import TestClient

from protect.jobs.web.server import make_app
from protect.settings.publish import PhotoSettings
from protect.settings.web import WebSettings

TOKEN, PORT = "benchmark", 8123
ORIGIN = f"http://127.0.0.1:{PORT}"
SIZES = {"12 MP": (4000, 3000), "48 MP": (8000, 6000), "200 MP": (20000, 10000)}
EVERY = 20  # photos between two looks at memory
PART = {"left": 800, "top": 600, "width": 1280, "height": 600}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=120, help="of 12 megapixels, dropped and protected in one run")
    parser.add_argument("--sizes", default="12 MP,48 MP,200 MP", help="of the photos that are previewed")
    settings = parser.parse_args()
    previews = [row for name in settings.sizes.split(",") for row in previewed(name)]
    print(table(previews))
    memory = dropped(settings.photos) if settings.photos else []
    print(table(memory) if memory else "")
    print(save("web_page", vars(settings), {"previews": previews, "memory": memory}).relative_to(ROOT))


@contextmanager
def served(name: str) -> Iterator[TestClient]:
    out = RUNS / "web_page" / name
    shutil.rmtree(out, ignore_errors=True)
    app = make_app(out, PhotoSettings(seed=1), WebSettings(jobs=1), TOKEN, PORT)
    with TestClient(app, base_url=f"{ORIGIN}/{TOKEN}/", headers={"origin": ORIGIN}) as client:
        yield client
    shutil.rmtree(out, ignore_errors=True)


def photo(size: tuple[int, int], number: int = 0) -> bytes:
    samples = sorted((ROOT / "samples/photos").glob("*.jpg"))
    file = io.BytesIO()
    with Image.open(samples[number % len(samples)]) as image:
        turned = image.convert("RGB").rotate(number)  # no two are the same
        turned.resize(size, Image.Resampling.BILINEAR).save(file, "JPEG", quality=90)
    return file.getvalue()


def drop(client: TestClient, name: str, data: bytes) -> int:
    """Uploads a photo; its number."""
    id = client.post("drop", json={"names": [name]}).json()["files"][0]["id"]
    client.put(f"photos/{id}", content=data).raise_for_status()
    return int(id)


def previewed(name: str) -> Iterator[dict[str, Any]]:
    """Seconds of each kind of change to a photo of this size."""
    with served(name) as client:
        data = photo(SIZES[name])
        begin = time.perf_counter()
        id = drop(client, "a.jpg", data)
        yield {"photo": name, "change": "upload, with its small picture", **since(begin, None)}
        changes: dict[str, dict[str, Any]] = {
            "first look": {},
            "another part": {"left": 1600},
            "another strength": {"strength": "strong"},
            "another language": {"strength": "strong", "language": "de"},
        }
        for change, options in changes.items():
            yield {"photo": name, "change": change, **look(client, id, options)}
        client.patch(f"photos/{id}", json={"caption": "a cup of coffee"})
        yield {"photo": name, "change": "another caption", **look(client, id, {})}


def look(client: TestClient, id: int, options: dict[str, Any]) -> dict[str, float]:
    begin, used = time.perf_counter(), time.process_time()
    asked = {"strength": "balanced", **PART, **options}
    made = client.get(f"photos/{id}/preview", params=asked).raise_for_status().json()
    for side in ("before", "after"):
        client.get(f"previews/{made['number']}/{side}").raise_for_status()
    return since(begin, used)


def since(begin: float, used: float | None) -> dict[str, Any]:
    cpu = None if used is None else round(time.process_time() - used, 2)
    return {"seconds": round(time.perf_counter() - begin, 2), "processor s": cpu}


def dropped(count: int) -> list[dict[str, Any]]:
    """Memory of the server's process while so many photos arrive, are looked at, protected and downloaded."""
    rows = []
    with served("many") as client:
        for number in range(count):
            id = drop(client, f"{number:04}.jpg", photo(SIZES["12 MP"], number))
            look(client, id, {})
            if (number + 1) % EVERY == 0:
                rows.append({"photos": number + 1, "after": "dropping", "memory MB": memory()})
        client.post("start", json={"strength": "balanced"}).raise_for_status()
        told = 0
        while (run := client.get("state").json()["run"])["running"]:
            if run["done"] >= told + EVERY:
                told = run["done"] // EVERY * EVERY
                rows.append({"photos": told, "after": "protecting", "memory MB": memory()})
            time.sleep(0.5)
        with client.stream("GET", "protected.zip") as answer:
            size = sum(map(len, answer.iter_bytes()))
        assert size > count * 100_000, size
        rows.append({"photos": count, "after": "the zip of all", "memory MB": memory()})
    return rows


def memory() -> float:
    """Resident megabytes of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


if __name__ == "__main__":
    main()
