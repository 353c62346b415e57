"""Make docs/images/web.jpg: the page of `protect web` with the sample photos, protected, in Chromium.

python tools/web_picture.py
"""

import io
import queue
import shutil
import tempfile
import threading
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from protect.jobs.web.server import serve
from protect.settings.publish import PhotoSettings
from protect.settings.web import WebSettings

ROOT = Path(__file__).resolve().parents[1]
SAMPLES, PICTURE = ROOT / "samples/photos", ROOT / "docs/images/web.jpg"
VIEW = {"width": 1180, "height": 700}
PART = {"x": 0, "y": 0, "width": 1180, "height": 1240}
SHOWN = "coffee.jpg"
WAIT, PAUSE = 120_000, 2_000  # milliseconds


def taken(browser: Browser, address: str) -> bytes:
    """A PNG of the page once all sample photos are protected and one of them is previewed."""
    page = browser.new_page(viewport=VIEW)
    page.set_default_timeout(WAIT)
    page.goto(address)
    page.locator("#folder").set_input_files(SAMPLES)
    page.get_by_role("button", name="Protect 8 photos").click()
    page.get_by_role("link", name="Download all (zip)").wait_for()
    page.locator("#photos .card", has_text=SHOWN).locator("img").first.click()
    page.locator("#look:not([hidden]):not(.busy)").wait_for()
    page.wait_for_timeout(PAUSE)  # the page fades from one preview to the next
    page.evaluate("scrollTo(0, 0)")
    return page.screenshot(full_page=True, clip=PART)


def main() -> None:
    told, servers = queue.Queue[str](), list[object]()
    program = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as started:
        settings, out = PhotoSettings(seed=7), Path(folder) / "out"
        how = {"browser": False, "started": servers.append}
        thread = threading.Thread(target=serve, args=(out, settings, WebSettings(), None, told.put), kwargs=how)
        thread.start()
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        try:
            picture = taken(browser, told.get(timeout=60))
        finally:
            browser.close()
            servers[0].should_exit = True  # type: ignore[attr-defined]
            thread.join()
    Image.open(io.BytesIO(picture)).convert("RGB").save(PICTURE, quality=88, optimize=True)
    print(f"{PICTURE.relative_to(ROOT)}: {PICTURE.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
