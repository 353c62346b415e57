"""The gallery: what it tells and to whom, names of all kinds, and the page in a real browser."""

import io
import json
import re
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from protect.jobs.photos.gallery import FOLDER, LIST, PAGE, make_pictures, page, write_gallery
from protect.jobs.photos.records import PhotoRecord

EVIL = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
NAMES = {  # every kind of name that must be found again
    "plain": "a.jpg",
    "folder": 'Trip 1/Tom\'s "best".jpg',
    "percent": "100%25 & more?#.jpg",
    "emoji": "\u00fcber \U0001f389.png",
    "markup": "<b>bold<!--.jpg",
    "scheme": "javascript:x.jpg",
}


def photo(path, tint=0, size=(320, 240), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    down, right = np.mgrid[0 : size[1], 0 : size[0]]
    values = np.stack([down % 256, right % 256, (down + right) % 256], axis=2)
    Image.fromarray((values * 0.8 + tint).astype(np.uint8)).save(path, **options)


def opened(path):
    with Image.open(path) as image:
        image.load()
        return image


def record(name, **values):
    given = {"status": "protected", "width": 320, "height": 240, "ssim": 0.93, "psnr": 34.5, "linf": 9.0}
    return PhotoRecord(name, **({**given, "epsilon": 8.0, "seconds": 1.5, "caption": f"post {name}"} | values))


def listed(out):
    text = (out / FOLDER / LIST).read_text("ascii")
    return json.loads(text.removeprefix("window.PHOTOS = ").removesuffix(";\n"))


@pytest.fixture
def folders(tmp_path):
    return tmp_path / "my photos", tmp_path / "out"


@pytest.fixture
def gallery(folders):
    """gallery(records): source and OUT with their pictures, and the page written."""
    source, out = folders

    def write(*records):
        for one in records:
            if one.status == "protected":
                photo(source / one.name)
                photo(out / one.name, tint=8)
        write_gallery(out, source, records)
        return out

    return write


def test_the_page_tells_nothing_of_the_photos(gallery, folders):
    out = gallery(record("secret name.jpg", caption="secret caption", caption_before="secret former"))
    text = (out / PAGE).read_text()
    assert "secret" not in text and folders[0].name not in text
    assert text == page()


def test_no_original_and_no_former_caption_outside_the_private_folder(gallery):
    out = gallery(record("a.jpg", caption_before="a former caption"), record("b/c.jpg"))
    public = [path for path in out.rglob("*") if path.is_file() and not path.is_relative_to(out / "_protect")]
    assert {path.name for path in public} == {"a.jpg", "c.jpg", PAGE}
    assert not any(b"a former caption" in path.read_bytes() for path in public)


def test_a_caption_that_was_not_changed_is_no_former_one(gallery):
    same, changed = record("a.jpg", caption="a boat", caption_before="a boat"), record("b.jpg", caption_before="old")
    photos = listed(gallery(same, changed))["photos"]
    assert "former" not in photos[0] and photos[1]["former"] == "old"


def test_private_files_are_for_their_owner(gallery):
    folder = gallery(record("a.jpg")) / FOLDER
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700


def test_the_list_cannot_end_its_script(gallery):
    out = gallery(record("a.jpg", caption=EVIL + "\u2028", caption_before=EVIL))
    text = (out / FOLDER / LIST).read_bytes()
    assert text.isascii() and text.count(b"\n") == 1 and listed(out)["photos"][0]["caption"] == EVIL + "\u2028"


def test_a_name_that_is_no_unicode_keeps_its_bytes_in_the_address(folders):
    source, out = folders
    write_gallery(out, source, [record("caf\udce9.jpg", caption="")])
    (found,) = listed(out)["photos"]
    assert found["path"] == "caf%E9.jpg" and found["name"].encode() and "\ufffd" in found["name"]


def test_only_photos_are_listed_and_failures_always(folders):
    source, out = folders
    skipped = [PhotoRecord(name, "skipped", "why") for name in ("a.txt", "film.MOV", "x.gif", "captions.csv")]
    write_gallery(out, source, [*skipped, PhotoRecord("folder", "failed", "cannot be read")])
    assert [one["name"] for one in listed(out)["photos"]] == ["film.MOV", "x.gif", "folder"]


def test_small_pictures_are_made_once_and_follow_their_photo(gallery, folders):
    source, out = folders
    first, second = record("a.jpg"), record("b.jpg")
    gallery(first, second)
    names = [one["small"] for one in listed(out)["photos"]]
    assert len(set(names)) == 2
    before = (out / FOLDER / names[0]).stat().st_mtime_ns
    write_gallery(out, source, [first])
    assert (out / FOLDER / names[0]).stat().st_mtime_ns == before and not (out / FOLDER / names[1]).exists()
    photo(out / "a.jpg", tint=40)
    write_gallery(out, source, [first])
    assert (out / FOLDER / names[0]).stat().st_mtime_ns > before


def test_what_browsers_do_not_show_gets_private_copies(folders):
    source, out = folders
    photo(source / "scan.tif", size=(3000, 300))
    photo(out / "scan.tif", tint=8, size=(3000, 300))
    made = make_pictures(out, source, record("scan.tif", width=3000, height=300))
    assert [opened(out / FOLDER / name).size for name in (made["small"], *made["views"])] == [
        (480, 48),
        (2400, 240),
        (2400, 240),
    ]


def test_small_pictures_are_upright_in_their_own_colours(folders):
    source, out = folders
    profile = bytes(12) + b"mntrRGB XYZ " + bytes(104)
    photo(out / "a.jpg", icc_profile=profile)
    small = out / FOLDER / make_pictures(out, source, record("a.jpg"))["small"]
    assert opened(small).info["icc_profile"] == profile


def test_a_photo_that_is_gone_or_damaged_has_no_picture(folders):
    source, out = folders
    out.mkdir()
    (out / "b.jpg").write_bytes(b"\xff\xd8\xff no more")
    write_gallery(out, source, [record("a.jpg"), record("b.jpg")])
    assert [one.get("small") for one in listed(out)["photos"]] == [None, None]


def test_endless_figures_are_left_out(folders):
    source, out = folders
    write_gallery(out, source, [record("a.jpg", psnr=float("inf"))])
    assert "psnr" not in listed(out)["photos"][0]


def test_policy_allows_nothing_from_elsewhere():
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page())[1]
    assert "default-src 'none'" in policy and "http" not in policy and "unsafe" not in policy
    assert not re.search(r"https?://", page())


# ---- in a browser


class Seen:
    """A page in the browser, all that it asked for, and all that went wrong."""

    def __init__(self, browser, path: Path, width=1280):
        self.context = browser.new_context(viewport={"width": width, "height": 800})
        self.context.grant_permissions(["clipboard-read", "clipboard-write"])
        self.page, self.asked, self.wrong = self.context.new_page(), [], []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("requestfailed", lambda request: self.wrong.append(request.url))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", lambda message: self.wrong.append(message.text))
        self.page.goto(path.absolute().as_uri())

    def open(self, name):
        self.page.get_by_label(f"Compare before and after: {name}", exact=True).click()
        for which in ("before", "after"):
            self.until(f"document.getElementById('{which}').naturalWidth > 0")

    def until(self, condition):
        """Waits for a condition; asked from outside, since the page's own rules forbid to evaluate text in it."""
        for _ in range(400):
            if self.page.evaluate(condition):
                return
            self.page.wait_for_timeout(25)
        raise AssertionError(f"not within 10 s: {condition}")

    def cut(self):
        """Share of the original that the slider shows, in %."""
        return 100 - float(re.search(r"([\d.]+)%", self.page.eval_on_selector("#before", "e => e.style.clipPath"))[1])


@pytest.fixture
def see(browser):
    pages = []

    def look(out, **values):
        pages.append(Seen(browser, out / PAGE, **values))
        return pages[-1]

    yield look
    for seen in pages:
        seen.context.close()


def test_opens_slides_zooms_and_asks_for_nothing_from_elsewhere(gallery, see):
    seen = see(gallery(*(record(name) for name in NAMES.values())))
    for name in NAMES.values():
        seen.open(name)
        seen.page.keyboard.press("Escape")
    seen.open("a.jpg")
    assert seen.cut() == pytest.approx(50, abs=1)
    handle, frame = seen.page.locator("#divider span"), seen.page.locator("#frame").bounding_box()
    handle.hover()
    seen.page.mouse.down()
    seen.page.mouse.move(frame["x"] + frame["width"] * 0.25, frame["y"] + frame["height"] / 2)
    seen.page.mouse.up()
    assert seen.page.locator("#slider").input_value() == "250" and seen.cut() < 45
    seen.page.locator("#slider").focus()
    seen.page.keyboard.press("End")
    assert seen.cut() == 100
    seen.page.get_by_role("button", name="1:1").click()
    assert seen.page.locator("#pair").bounding_box()["width"] == 320
    assert seen.wrong == [] and len(seen.asked) > 3 * len(NAMES)
    assert all(url.startswith("file:") for url in seen.asked)


def test_the_difference_is_sixteenfold(gallery, see):
    seen = see(gallery(record("a.png")))
    seen.open("a.png")
    seen.page.get_by_role("button", name="Difference").click()
    seen.page.get_by_role("button", name="1:1").click()
    box = seen.page.locator("#pair").bounding_box()
    shot = seen.page.screenshot(clip={"x": box["x"] + 60, "y": box["y"] + 60, "width": 40, "height": 40})
    values = np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"))
    assert np.abs(values.astype(int) - 8 * 16).max() <= 16  # the pictures differ by 8, rounded


def test_copy_is_one_click(gallery, see):
    caption = 'harbour \u00e9 \U0001f389 "quoted" <i>\nsecond line'
    seen = see(gallery(record("a.jpg", caption=caption)))
    seen.page.locator(".card .copy").click()
    seen.page.locator(".card .copy", has_text="Copied").wait_for()
    assert seen.page.evaluate("navigator.clipboard.readText()") == caption


def test_copy_without_the_clipboard_interface(gallery, see):
    seen = see(gallery(record("a.jpg", caption="two\nlines")))
    seen.page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(); }")
    seen.open("a.jpg")
    seen.page.locator("#about .copy").click()
    seen.page.locator("#about .copy", has_text="Copied").wait_for()
    assert seen.page.evaluate("navigator.clipboard.readText()") == "two\nlines"


def test_texts_are_never_markup(gallery, see):
    seen = see(gallery(record("a.jpg", caption=EVIL, caption_before=EVIL, reason=EVIL, caption_from=EVIL)))
    seen.open("a.jpg")
    assert seen.page.title() == "Protected photos"
    assert EVIL in seen.page.locator("#about blockquote").inner_text()
    assert seen.page.locator("img").count() == 3 and seen.wrong == []


def test_nothing_can_be_sent_from_the_page(gallery, see):
    seen = see(gallery(record("a.jpg")))
    code = """url => new Promise(done => {
        addEventListener('securitypolicyviolation', event => done(event.effectiveDirective));
        %s
    })"""
    for what in ("fetch(url).catch(() => {});", "new Image().src = url;"):
        assert seen.page.evaluate(code % what, "https://example.invalid/x") in ("connect-src", "img-src")
    assert [url for url in seen.asked if url.startswith("http") and url not in seen.wrong] == []


def test_files_that_need_attention_come_first(gallery, see):
    failed, skipped = PhotoRecord("z.jpg", "failed", "damaged"), PhotoRecord("y.gif", "skipped", "a GIF")
    seen = see(gallery(record("b10.jpg"), record("b9.jpg"), record("x.jpg", lowered=True), skipped, failed))
    names = seen.page.locator(".card .name")
    assert names.all_text_contents() == ["z.jpg", "y.gif", "x.jpg", "b9.jpg", "b10.jpg"]
    assert "damaged" in seen.page.locator(".card").first.inner_text()
    seen.page.get_by_role("button", name="Needs attention").click()
    assert names.count() == 3
    seen.page.get_by_role("button", name="All").click()
    seen.page.get_by_label("Search names and captions").fill("POST b9")
    assert names.all_text_contents() == ["b9.jpg"]
    seen.page.get_by_label("Search names and captions").fill("nowhere")
    assert seen.page.get_by_text("Nothing matches.").is_visible()


def test_thousands_of_photos_are_drawn_as_they_are_reached(folders, see):
    source, out = folders
    write_gallery(out, source, [record(f"album/{number:05}.jpg") for number in range(1200)])
    seen = see(out)
    cards = seen.page.locator(".card")
    first = cards.count()
    assert 0 < first < 300 and "1,200" in seen.page.locator("#summary").inner_text()
    seen.page.evaluate("scrollTo(0, document.body.scrollHeight)")
    seen.until(f"document.querySelectorAll('.card').length > {first}")
    seen.page.get_by_label("Search names and captions").fill("01021")
    assert cards.count() == 1


def test_an_original_that_was_moved_is_said(gallery, folders, see):
    out = gallery(record("a.jpg"))
    folders[0].rename(folders[0].with_name("moved"))
    seen = see(out)
    seen.page.get_by_label("Compare before and after: a.jpg").click()
    seen.page.get_by_text("The original cannot be shown").wait_for()


def test_a_page_without_its_list_shows_nothing(gallery, see):
    out = gallery(record("a.jpg"))
    shutil.rmtree(out / "_protect")
    assert see(out).page.get_by_text("Nothing to show").is_visible()


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_window(gallery, see, width):
    seen = see(gallery(record("x" * 120 + ".jpg", caption="y" * 400), record("a.jpg")), width=width)
    wide = "document.documentElement.scrollWidth"
    assert seen.page.evaluate(wide) <= width
    seen.open("a.jpg")
    assert seen.page.locator("#viewer").evaluate("e => e.scrollWidth") <= width
