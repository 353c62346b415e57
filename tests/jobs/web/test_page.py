"""The page in a real browser: from dropping photos to the zip, by mouse and by keyboard."""

import io
import queue
import threading
import zipfile

import numpy as np
import pytest
from PIL import Image

from protect.jobs.photos.job import make_job
from protect.jobs.photos.run import protect_photos
from protect.jobs.web.server import serve
from protect.settings.publish import PhotoSettings
from protect.settings.web import WebSettings

MOST_PIXELS = 20_000
WAIT = 180_000  # milliseconds: machines that run tests are busy


class Seen:
    """The page in the browser, all that it asked for, and all that went wrong."""

    def __init__(self, browser, address, width=1280):
        self.context = browser.new_context(viewport={"width": width, "height": 900}, accept_downloads=True)
        self.context.set_default_timeout(WAIT)
        self.context.grant_permissions(["clipboard-read", "clipboard-write"])
        self.page, self.asked, self.wrong = self.context.new_page(), [], []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", lambda message: self.wrong.append(message.text))
        self.page.goto(address)

    def wait_for(self, selector, count):
        """Until so many elements are there; a card that is drawn anew may be gone for a moment."""
        from playwright.sync_api import expect

        expect(self.page.locator(selector)).to_have_count(count, timeout=WAIT)

    def settled(self):
        """Until the preview is the one that was last asked for."""
        self.page.locator("#look:not([hidden]):not(.busy)").wait_for()

    def shot(self):
        """What the frame of the preview shows, height x width x 3."""
        return np.asarray(Image.open(io.BytesIO(self.page.locator("#frame").screenshot())).convert("RGB")).astype(int)

    def download(self, click):
        with self.page.expect_download() as waiting:
            click()
        return waiting.value.suggested_filename, waiting.value.path().read_bytes()


@pytest.fixture
def address(tmp_path):
    """A server as `protect web` starts it; it is closed at the end."""
    told, running = queue.Queue(), []
    settings = PhotoSettings(seed=7, max_pixels=MOST_PIXELS)

    def run():
        serve(tmp_path / "out", settings, WebSettings(), None, told.put, browser=False, started=running.append)

    thread = threading.Thread(target=run)
    thread.start()
    yield told.get(timeout=60)
    running[0].should_exit = True
    thread.join(timeout=60)
    assert not thread.is_alive()
    assert not (tmp_path / "out/_protect/private/uploads").exists()


@pytest.fixture
def see(browser, address):
    pages = []

    def look(**values):
        pages.append(Seen(browser, address, **values))
        return pages[-1]

    yield look
    for seen in pages:
        seen.context.close()


@pytest.fixture
def folder(tmp_path, photo_bytes):
    """Twenty small photos with captions, a broken file and one with too many pixels."""
    source = tmp_path / "in"
    source.mkdir()
    for number in range(20):
        (source / f"{number:02}.jpg").write_bytes(photo_bytes(seed=number, size=(128, 96)))
    lines = (f"{number:02}.jpg,boat {number % 7} in the harbour\n" for number in range(20))
    (source / "captions.csv").write_text("file,caption\n" + "".join(lines))
    (source / "broken.jpg").write_bytes(photo_bytes()[:-300])
    (source / "huge.jpg").write_bytes(photo_bytes(size=(200, 150)))
    return source


def test_from_dropping_a_folder_to_the_zip(see, folder, address, tmp_path):
    seen = see()
    page = seen.page
    page.locator("#folder").set_input_files(folder)
    seen.wait_for("#photos .card.ready", 20)
    seen.wait_for("#problems .card", 2)
    problems = page.locator("#problems").text_content()
    assert "damage" in problems and f"at most {MOST_PIXELS} pixels, found 200x150" in problems
    assert page.locator("#problems").bounding_box()["y"] < page.locator("#photos").bounding_box()["y"]

    seen.settled()
    page.get_by_role("button", name="After", exact=True).click()
    balanced = seen.shot()
    page.locator("#strength").focus()
    page.keyboard.press("End")
    assert page.locator("#word").inner_text() == "strong"
    seen.settled()
    assert np.abs(seen.shot() - balanced).max() > 4
    assert page.locator("#post").inner_text().endswith("in the harbour")

    page.get_by_role("button", name="Protect 20 photos").click()
    seen.wait_for("#photos .card.protected", 20)
    page.get_by_role("link", name="Download all (zip)").wait_for()
    assert (
        page.locator("#progress").is_hidden()
        and page.locator("#status").inner_text() == "20 protected, 2 not protected"
    )

    source, out = folder, tmp_path / "by command"
    settings = PhotoSettings(seed=7, max_pixels=MOST_PIXELS, strength="strong")
    records = protect_photos(make_job(source, out, settings))
    name, data = seen.download(page.get_by_role("link", name="Download 03.jpg").click)
    assert (name, data) == ("03.jpg", (out / "03.jpg").read_bytes())
    name, data = seen.download(page.get_by_role("link", name="Download all (zip)").click)
    archive = zipfile.ZipFile(io.BytesIO(data))
    photos = [name for name, record in records.items() if record.status == "protected"]
    assert len(photos) == 20 and all(archive.read(name) == (out / name).read_bytes() for name in photos)
    assert {"captions.csv", "gallery.html"} < set(archive.namelist())

    page.get_by_role("button", name="Copy caption of 03.jpg").click()
    page.locator(".copy", has_text="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == records["03.jpg"].caption
    assert seen.wrong == [] and all(url.startswith(address) for url in seen.asked)


def test_before_after_and_difference(see, tmp_path, photo_bytes):
    seen = see()
    page = seen.page
    path = tmp_path / "a.png"
    path.write_bytes(photo_bytes("PNG", size=(150, 120)))
    page.locator("#files").set_input_files(path)
    seen.wait_for(".card.ready", 1)
    seen.settled()
    views = {}
    for name in ("Before", "After", "Difference"):
        page.get_by_role("button", name=name, exact=True).click()
        views[name] = seen.shot()
    changed = np.abs(views["Before"] - views["After"])
    middle = tuple(slice(side // 2 - 30, side // 2 + 30) for side in changed.shape[:2])
    expected = np.minimum(255, 16 * changed[middle])
    assert 0 < changed[middle].max() <= 8 and np.abs(views["Difference"][middle] - expected).max() <= 16
    page.get_by_role("button", name="Slider", exact=True).click()
    page.locator("#slider").focus()
    page.keyboard.press("End")
    assert np.array_equal(seen.shot()[middle], views["Before"][middle])
    page.keyboard.press("Home")
    assert np.array_equal(seen.shot()[middle], views["After"][middle])
    assert seen.wrong == []


def test_arrow_keys_move_the_part_that_is_shown(see, tmp_path, photo_bytes):
    seen = see(width=390)
    page = seen.page
    path = tmp_path / "a.png"
    path.write_bytes(photo_bytes("PNG", size=(2000, 10)))
    page.locator("#files").set_input_files(path)
    seen.wait_for(".card.ready", 1)
    seen.settled()
    left = page.locator("#spot").evaluate("e => parseFloat(e.style.left)")
    page.locator("#stage").focus()
    page.keyboard.press("ArrowRight")
    seen.settled()
    assert page.locator("#spot").evaluate("e => parseFloat(e.style.left)") > left


def test_an_edited_caption_is_previewed_and_kept(see, tmp_path, photo_bytes):
    seen = see()
    page = seen.page
    path = tmp_path / "a.jpg"
    path.write_bytes(photo_bytes())
    page.locator("#files").set_input_files(path)
    seen.wait_for(".card.ready", 1)
    page.get_by_label("Caption", exact=True).fill("<b>a boat</b> & more")
    page.locator("#post", has_text="<b>a boat</b> & more").wait_for()
    another = see()  # a second tab
    another.wait_for(".card.ready", 1)
    assert another.page.get_by_label("Caption", exact=True).input_value() == "<b>a boat</b> & more"
    assert seen.wrong == [] and another.wrong == []


def test_a_suggested_text_is_chosen_in_another_language_and_published(see, tmp_path, photo_bytes):
    seen = see()
    page = seen.page
    path = tmp_path / "a.jpg"
    path.write_bytes(photo_bytes(size=(128, 96)))
    page.locator("#files").set_input_files(path)
    seen.wait_for("#suggested option", 4)
    seen.settled()
    english = page.locator("#suggested option").all_inner_texts()
    assert page.locator("#suggested").input_value() == page.locator("#post").inner_text() == english[0]
    page.get_by_label("Language of the words that are added").select_option(label="Français")
    page.locator("#post").filter(has_not_text=english[0]).wait_for()
    seen.settled()
    french = page.locator("#suggested option").all_inner_texts()
    assert not set(french) & set(english)
    page.get_by_label("Choose a text").select_option(index=2)
    page.locator("#post", has_text=french[2]).wait_for()
    page.get_by_role("button", name="Protect 1 photo").click()
    seen.wait_for(".card.protected", 1)

    def listed():
        return (tmp_path / "out/captions.csv").read_text()

    assert french[2] in listed()
    page.get_by_label("Suggested texts for a.jpg").select_option(label=french[0])
    page.get_by_text("text changed: protect again").wait_for()
    assert page.get_by_role("button", name="Copy caption of a.jpg").count() == 0  # the file has the other one
    page.get_by_role("button", name="Protect 1 photo").click()
    seen.wait_for(".card.protected", 1)
    assert french[0] in listed() and french[2] not in listed()
    page.get_by_role("button", name="Copy caption of a.jpg").click()
    page.locator(".copy", has_text="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == french[0]
    assert seen.wrong == []


def test_files_are_dropped_on_the_page(see):
    seen = see()
    seen.page.evaluate("""() => {
        const given = new DataTransfer();
        given.items.add(new File(["no picture"], "a.jpg"));
        const event = new DragEvent("drop", { dataTransfer: given, bubbles: true, cancelable: true });
        document.querySelector("#zone").dispatchEvent(event);
    }""")
    seen.wait_for("#problems .card", 1)
    assert "expected a picture" in seen.page.locator("#problems").text_content()


def test_all_is_reached_by_keyboard(see, tmp_path, photo_bytes):
    seen = see()
    page = seen.page
    path = tmp_path / "a.jpg"
    path.write_bytes(photo_bytes())
    page.locator("#files").set_input_files(path)
    seen.wait_for(".card.ready", 1)
    seen.settled()
    page.locator("#quit").focus()
    reached = []
    for _ in range(20):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
    for name in ("files", "folder", "strength", "start", "stage", "slider", "Slider", "Difference", "Remove"):
        assert name in reached, name
    assert any(name.startswith("caption-") for name in reached)


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_is_wider_than_the_window(see, tmp_path, photo_bytes, width):
    seen = see(width=width)
    path = tmp_path / ("x" * 100 + ".jpg")
    path.write_bytes(photo_bytes(size=(150, 120)))
    seen.page.locator("#files").set_input_files(path)
    seen.wait_for(".card.ready", 1)
    seen.settled()
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    chosen = seen.page.locator("#suggested").bounding_box()
    assert chosen["x"] + chosen["width"] <= width


def test_nothing_can_be_sent_from_the_page(see):
    seen = see()
    code = """url => new Promise(done => {
        addEventListener('securitypolicyviolation', event => done(event.effectiveDirective));
        %s
    })"""
    for what in ("fetch(url).catch(() => {});", "new Image().src = url;"):
        assert seen.page.evaluate(code % what, "https://example.invalid/x") in ("connect-src", "img-src")
