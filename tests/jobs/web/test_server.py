"""The page's server: uploads and their limits, the run, what is downloaded, and what outlives it."""

import csv
import io
import json
import stat
import zipfile
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image

from protect.data.photo_folder import walk
from protect.files import PlanError
from protect.jobs.photos.job import make_job
from protect.jobs.photos.run import protect_photos
from protect.jobs.web.download import safe_name, unique_names
from protect.settings.publish import PhotoSettings
from protect.settings.web import WebSettings

SETTINGS = PhotoSettings(seed=7)


@pytest.fixture
def pictures(photo_bytes):
    """Files of a folder: its photos, and captions in a list, beside a photo and inside one."""
    exif = Image.Exif()
    exif[0x010E] = "a lake in the file itself"
    return {
        "a.jpg": photo_bytes(seed=1, size=(160, 120)),
        "b.png": photo_bytes("PNG", seed=2),
        "trip to Rome/c.jpg": photo_bytes(seed=3),
        "trip to Rome/d.jpg": photo_bytes(seed=4, exif=exif),
        "e.webp": photo_bytes("WEBP", seed=5),
        "captions.csv": b"file,caption\na.jpg,a boat\n",
        "b.txt": b"a red house\nby the sea\n",
    }


def on_disk(folder, files):
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def by_command(tmp_path, files, settings=SETTINGS):
    """The records and files that `protect photos` makes of the same folder."""
    source, out = on_disk(tmp_path / "in", files), tmp_path / "by command"
    records = protect_photos(make_job(source, out, settings))
    photos = [name for name, record in records.items() if record.status == "protected"]
    return {name: (records[name], (out / name).read_bytes()) for name in photos}


def uploads(out):
    return out / "_protect" / "private" / "uploads"


def test_the_same_bytes_and_captions_as_the_command(serve, pictures, tmp_path):
    page = serve()
    ids = page.drop(pictures)
    photos = page.protect()
    expected = by_command(tmp_path, pictures)
    assert set(photos) == set(expected) == set(ids)
    for name, (record, data) in expected.items():
        assert page.download(ids[name]) == data, name
        assert (photos[name]["post"], photos[name]["caption"]) == (record.caption, record.caption_before), name


def test_words_of_many_captions_are_counted_as_the_command_counts_them(serve, photo_bytes, tmp_path):
    files = {f"{n:02}.jpg": photo_bytes(seed=n) for n in range(20)}
    files["captions.csv"] = b"file,caption\n" + b"".join(
        b"%02d.jpg,harbour boat number %d\n" % (n, n % 7) for n in range(20)
    )
    page = serve()
    ids = page.drop(files)
    page.protect()
    assert all(page.download(ids[name]) == data for name, (_, data) in by_command(tmp_path, files).items())


def test_an_edited_caption_is_the_one_that_counts(serve, pictures, tmp_path):
    page = serve()
    ids = page.drop({"a.jpg": pictures["a.jpg"]})
    page.protect()
    page.ask("PATCH", f"photos/{ids['a.jpg']}", json={"caption": "a  green\nbus"})
    assert page.photos()["a.jpg"]["state"] == "ready"
    assert page.protect()["a.jpg"]["caption"] == "a green bus"
    files = {"a.jpg": pictures["a.jpg"], "captions.csv": b"file,caption\na.jpg,a green bus\n"}
    assert page.download(ids["a.jpg"]) == by_command(tmp_path, files)["a.jpg"][1]


def test_the_suggested_text_that_is_chosen_is_the_one_that_is_published(serve, photo_bytes, tmp_path):
    page = serve()
    ids = page.drop({"a.jpg": photo_bytes(seed=1)})
    query = f"photos/{ids['a.jpg']}/preview?strength=balanced&language=de&width=32&height=32"
    offered = page.ask("GET", query).json()
    wanted = offered["others"][1]
    assert len({offered["caption"], *offered["others"]}) == 4
    assert page.ask("PATCH", f"photos/{ids['a.jpg']}", json={"wanted": wanted}).status_code == 200
    assert page.ask("GET", query).json()["caption"] == wanted

    photo = page.protect(language="de")["a.jpg"]
    assert (photo["post"], photo["wanted"], photo["language"], photo["suggested"]) == (wanted, wanted, "de", True)
    assert f",{wanted!r},yes".replace("'", '"') in (tmp_path / "out/captions.csv").read_text()
    archive = zipfile.ZipFile(io.BytesIO(page.ask("GET", "protected.zip").content))
    assert wanted in archive.read("captions.csv").decode()
    [written] = (tmp_path / "out").glob("*.jpg")

    page = serve()  # finished by an earlier server: it stays
    before = written.stat().st_ino
    page.drop({"a.jpg": photo_bytes(seed=1)})
    assert page.protect(language="de")["a.jpg"]["post"] == wanted and written.stat().st_ino == before
    other = page.photos()["a.jpg"]["others"][0]
    page.ask("PATCH", f"photos/{page.photos()['a.jpg']['id']}", json={"wanted": other})
    assert page.photos()["a.jpg"]["state"] == "ready"
    assert page.protect(language="de")["a.jpg"]["post"] == other
    assert page.protect(language="it")["a.jpg"]["post"] not in (wanted, other)  # not offered in this language


def test_another_strength_protects_anew_and_the_same_one_does_not(serve, pictures, tmp_path):
    page = serve()
    ids = page.drop({"a.jpg": pictures["a.jpg"]})
    page.protect("subtle")
    written = next((tmp_path / "out").glob("*.jpg"))
    before = written.stat().st_mtime_ns, written.stat().st_ino
    page.protect("subtle")
    assert (written.stat().st_mtime_ns, written.stat().st_ino) == before
    assert page.protect("strong")["a.jpg"]["strength"] == "strong"
    expected = by_command(tmp_path, {"a.jpg": pictures["a.jpg"]}, PhotoSettings(seed=7, strength="strong"))
    assert page.download(ids["a.jpg"]) == expected["a.jpg"][1]


def test_the_preview_is_the_published_picture(serve, pictures):
    page = serve()
    name = "b.png"  # without loss: the part can be compared pixel for pixel
    ids = page.drop({name: pictures[name]})
    query = "strength=strong&left=20&top=5&width=32&height=16"
    made = page.ask("GET", f"photos/{ids[name]}/preview?{query}").json()
    assert made["size"] == [64, 48] and made["part"] == {"left": 16, "top": 0, "width": 32, "height": 16}
    before, after = (
        pixels(page.ask("GET", f"previews/{made['number']}/{side}").content) for side in ("before", "after")
    )
    photo = page.protect("strong")[name]
    published = pixels(page.download(ids[name]))
    assert np.array_equal(before, pixels(pictures[name])[0:16, 16:48])
    assert np.array_equal(after, published[0:16, 16:48]) and made["caption"] == photo["post"]


def test_the_preview_of_a_large_jpeg_is_near_the_published_one(serve, photo_bytes):
    page = serve()
    ids = page.drop({"a.jpg": photo_bytes(size=(1600, 1200), quality=92)})
    made = page.ask(
        "GET", f"photos/{ids['a.jpg']}/preview?strength=balanced&left=800&top=600&width=320&height=320"
    ).json()
    after = pixels(page.ask("GET", f"previews/{made['number']}/after").content)
    page.protect()
    published = pixels(page.download(ids["a.jpg"]))[592:912, 800:1120]
    assert made["part"]["top"] == 592 and np.abs(after.astype(int) - published).mean() < 0.1


def pixels(data):
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def test_what_cannot_be_protected_says_why(serve, photo_bytes):
    page = serve(settings=PhotoSettings(seed=7, max_pixels=5000))
    files = {"broken.jpg": photo_bytes(size=(60, 60))[:-200], "huge.png": photo_bytes("PNG", size=(100, 60))}
    files |= {"text.jpg": b"no picture", "moves.gif": b"GIF89a....", "film.mov": b"...", "raw.cr2": b"II*\0"}
    page.drop(files)
    photos = page.photos()
    assert {name: photo["state"] for name, photo in photos.items()} == dict.fromkeys(list(files)[:4], "failed")
    assert "damage" in photos["broken.jpg"]["reason"]
    assert "at most 5000 pixels, found 100x60" in photos["huge.png"]["reason"]
    assert "--max-pixels" in photos["huge.png"]["reason"]
    assert all("uploads" not in photo["reason"] for photo in photos.values())
    uses = page.ask("POST", "drop", json={"names": list(files)}).json()["files"]
    assert "export it as JPEG" in uses[5]["reason"] and "a movie" in uses[4]["reason"]
    assert page.ask("GET", "state").json()["run"]["running"] is False


def test_200_megapixels_are_looked_at_and_what_is_broken_among_them_is_named(serve, tmp_path):
    file = io.BytesIO()
    Image.new("L", (20_000, 10_000), 90).save(file, "JPEG", quality=30)
    page = serve()
    ids = page.drop({"huge.jpg": file.getvalue(), "cut.jpg": file.getvalue()[:-2000]})
    photos = page.photos()
    assert photos["huge.jpg"]["state"] == "ready" and photos["cut.jpg"]["state"] == "failed"
    with Image.open(io.BytesIO(page.ask("GET", f"photos/{ids['huge.jpg']}/small").content)) as small:
        assert max(small.size) < 1000
    query = "strength=balanced&left=19000&top=9000&width=640&height=480"
    made = page.ask("GET", f"photos/{ids['huge.jpg']}/preview?{query}").json()
    assert made["size"] == [20_000, 10_000] and made["part"]["left"] == 18_992
    assert pixels(page.ask("GET", f"previews/{made['number']}/before").content).shape == (480, 640, 3)


@pytest.mark.skipif(find_spec("pillow_heif") is None, reason="pillow-heif is not installed (extra heic)")
def test_a_heic_is_shown_previewed_and_protected(serve, photo_bytes):
    import pillow_heif

    file = io.BytesIO()
    pillow_heif.from_pillow(Image.open(io.BytesIO(photo_bytes(size=(160, 120))))).save(file, quality=90)
    page = serve()
    ids = page.drop({"a.heic": file.getvalue()})
    assert page.ask("GET", f"photos/{ids['a.heic']}/small").headers["content-type"] == "image/jpeg"
    query = f"photos/{ids['a.heic']}/preview?strength=balanced&width=64&height=64"
    made = page.ask("GET", query).json()
    assert pixels(page.ask("GET", f"previews/{made['number']}/after").content).shape == (64, 64, 3)
    assert page.protect()["a.heic"]["state"] == "protected"
    assert pillow_heif.open_heif(io.BytesIO(page.download(ids["a.heic"]))).size == (160, 120)


def test_one_failure_ends_no_run(serve, pictures, tmp_path):
    page = serve()
    ids = page.drop({"a.jpg": pictures["a.jpg"], "b.png": pictures["b.png"]})
    next(uploads(tmp_path / "out").glob("*.jpg")).write_bytes(b"\xff\xd8\xff")
    photos = page.protect()
    assert photos["a.jpg"]["state"] == "failed" and photos["b.png"]["state"] == "protected"
    assert page.ask("GET", f"photos/{ids['a.jpg']}/file").status_code == 404


# ---- limits


def test_limits_of_count_and_bytes(serve, photo_bytes, tmp_path):
    page = serve(limits=WebSettings(max_files=2, max_file_mb=1, max_total_mb=2))
    too_many = page.ask("POST", "drop", json={"names": ["a.jpg", "b.jpg", "c.jpg"]})
    assert too_many.status_code == 413 and "at most 2 photos" in too_many.json()["error"] and not page.photos()
    number = page.ask("POST", "drop", json={"names": ["a.jpg"]}).json()["files"][0]["id"]

    def endless():
        for _ in range(20):
            yield bytes(100_000)

    refused = page.ask("PUT", f"photos/{number}", content=endless())
    assert refused.status_code == 413 and "larger than 1 MB" in refused.json()["error"]
    assert page.photos()["a.jpg"]["state"] == "failed"
    assert not [path for path in uploads(tmp_path / "out").iterdir() if path.is_file()]


def test_the_limit_of_all_together(serve, tmp_path):
    page = serve(limits=WebSettings(max_file_mb=1, max_total_mb=1))
    files = {"a.jpg": bytes(600_000), "b.jpg": bytes(600_000)}
    page.drop(files)
    assert "all together larger than 1 MB" in page.photos()["b.jpg"]["reason"]


@pytest.mark.parametrize(
    ("method", "path", "options"),
    [
        ("POST", "drop", {"content": b"["}),
        ("POST", "drop", {"json": ["a.jpg"]}),
        ("POST", "drop", {"json": {"names": [1]}}),
        ("POST", "start", {"json": {"strength": "huge"}}),
        ("POST", "start", {"content": b"[" * 100_000}),
        ("POST", "start", {"json": {"strength": "strong", "language": "xx"}}),
        ("PATCH", "photos/1", {"json": {}}),
        ("PATCH", "photos/1", {"json": {"caption": 7}}),
        ("PATCH", "photos/1", {"json": {"wanted": ["x"]}}),
        ("PATCH", "photos/1", {"json": {"caption": "x" * 10_001}}),
        ("GET", "photos/1/preview?strength=balanced&left=-1", {}),
        ("GET", "photos/1/preview?strength=balanced&left=1e9", {}),
        ("GET", "state?since=x", {}),
    ],
)
def test_nonsense_is_refused_in_words(serve, pictures, method, path, options):
    page = serve()
    page.drop({"a.jpg": pictures["a.jpg"]})
    found = page.ask(method, path, **options)
    assert found.status_code == 400 and "expected" in found.json()["error"]


def test_what_is_not_there(serve):
    page = serve()
    for path in ("photos/9/file", "photos/9/small", "photos/9/preview?strength=balanced", "previews/9/after"):
        assert page.ask("GET", path).status_code == 404, path


# ---- names are never paths

EVIL = (
    "../../evil.jpg",
    "/etc/evil.jpg",
    "..\\..\\evil.jpg",
    "C:\\evil.jpg",
    "a\0b.jpg",
    ".jpg/../x.jpg",
    "%2e%2e%2fx.jpg",
)


@pytest.mark.parametrize("name", EVIL)
def test_no_name_leads_out_of_the_folders(serve, photo_bytes, tmp_path, name):
    before = {path for path in tmp_path.rglob("*")}
    page = serve()
    ids = page.drop({name: photo_bytes(), name + ".txt": b"a boat", "x/../captions.csv": b"file,caption\na,b\n"})
    page.protect()
    made = {path.relative_to(tmp_path) for path in tmp_path.rglob("*")} - before
    assert all(path.parts[0] == "out" for path in made)
    assert all(path.name.isascii() and ".." not in path.name for path in made)
    for id in ids.values():
        disposition = page.ask("GET", f"photos/{id}/file").headers["content-disposition"]
        assert "/" not in disposition.replace("utf-8''", "") and "\\" not in disposition and "%2F" not in disposition


@pytest.mark.parametrize(
    "path", ["photos/../../state", "photos/1/../../../x", "web.js/../../x", "previews/..%2f/after"]
)
def test_no_address_leads_out_either(serve, path):
    assert serve().ask("GET", path).status_code in (200, 404)
    assert b"root:" not in serve().ask("GET", path).content


def test_names_in_the_zip_are_safe_and_apart():
    assert [safe_name(name) for name in EVIL[:4]] == ["evil.jpg", "etc/evil.jpg", "evil.jpg", "C_/evil.jpg"]
    assert safe_name("con.jpg") == "_con.jpg" and safe_name("..") == "photo" and safe_name("a<b>.jpg") == "a_b_.jpg"
    assert unique_names(["a.jpg", "A.JPG", "a.jpg", "captions.csv"]) == [
        "a.jpg", "A (2).JPG", "a (3).jpg", "captions (2).csv"]  # fmt: skip


# ---- downloads


def test_the_zip_has_photos_captions_and_page_and_nothing_private(serve, pictures, tmp_path):
    page = serve()
    ids = page.drop(pictures)
    photos = page.protect()
    archive = zipfile.ZipFile(io.BytesIO(page.ask("GET", "protected.zip").content))
    assert archive.testzip() is None
    names = [name for name in archive.namelist() if not name.startswith("gallery-files/")]
    assert set(names) == {*ids, "captions.csv", "gallery.html"}
    assert all(archive.read(name) == page.download(id) for name, id in ids.items())
    lines = list(csv.reader(io.StringIO(archive.read("captions.csv").decode())))
    assert lines[0] == ["file", "caption", "suggested"] and ["a.jpg", photos["a.jpg"]["post"], ""] in lines
    listed = json.loads(archive.read("gallery-files/photos.js").decode().removeprefix("window.PHOTOS = ")[:-2])
    assert {photo["name"] for photo in listed["photos"]} == set(ids) and "before" not in listed
    assert not any("former" in photo for photo in listed["photos"])
    on_disk(tmp_path / "unpacked", {name: archive.read(name) for name in archive.namelist()})
    assert {entry.name for entry in walk(tmp_path / "unpacked") if entry.kind == "photo"} >= set(ids)


# ---- what outlives a server


def test_a_killed_server_loses_nothing_that_was_finished(serve, pictures, tmp_path):
    first = serve()
    ids = first.drop(pictures)
    first.protect()
    expected = {name: first.download(id) for name, id in ids.items()}
    later = serve()  # the earlier one left its records only
    photos = later.photos()
    assert {name: photo["state"] for name, photo in photos.items()} == dict.fromkeys(expected, "protected")
    assert not any(photo["here"] for photo in photos.values())
    assert {name: later.download(photo["id"]) for name, photo in photos.items()} == expected
    assert all(later.ask("GET", f"photos/{photo['id']}/small").status_code == 200 for photo in photos.values())


def test_what_is_dropped_again_goes_on_where_it_was(serve, pictures, tmp_path):
    page = serve()
    page.drop(pictures)
    page.protect()
    times = {path.name: path.stat().st_ino for path in (tmp_path / "out").glob("0*")}
    page = serve()
    page.drop(pictures)
    photos = page.protect()
    assert len(photos) == 5 and {photo["state"] for photo in photos.values()} == {"protected"}
    assert {path.name: path.stat().st_ino for path in (tmp_path / "out").glob("0*")} == times


def test_the_same_file_twice_is_there_once(serve, pictures):
    page = serve()
    page.drop({"a.jpg": pictures["a.jpg"]})
    page.drop({"a.jpg": pictures["a.jpg"]})
    assert len(page.ask("GET", "state").json()["photos"]) == 1


def test_two_tabs_see_the_same(serve, pictures):
    page = serve()
    page.drop({"a.jpg": pictures["a.jpg"]})
    seen = page.ask("GET", "state").json()["version"]
    page.drop({"b.png": pictures["b.png"]})
    id = page.photos()["a.jpg"]["id"]
    page.ask("DELETE", f"photos/{id}")
    news = page.ask("GET", f"state?since={seen}").json()
    assert [photo["name"] for photo in news["photos"]] == ["b.png"] and news["removed"] == [id]


def test_uploads_are_private_and_gone_at_the_end(serve, pictures, tmp_path):
    page = serve()
    page.drop(pictures)
    folder = uploads(tmp_path / "out")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700 and list(folder.glob("*.jpg"))
    serve(tmp_path / "another")  # ends the first
    assert not folder.exists()


def test_what_a_killed_server_left_is_removed(serve, tmp_path):
    folder = uploads(tmp_path / "out")
    on_disk(folder, {"00001-secret.jpg": b"original"})
    serve()
    assert not list(folder.iterdir())


def test_two_servers_on_one_out_are_refused(serve):
    serve()
    with pytest.raises(PlanError, match=r"another `protect web` uses it"):
        serve(again=False)


def test_the_key_is_kept_where_the_user_says(serve, pictures, tmp_path):
    keys = tmp_path / "keys"
    page = serve(key_folder=keys, settings=PhotoSettings())
    ids = page.drop({"a.jpg": pictures["a.jpg"]})
    page.protect()
    assert str(keys) in page.ask("GET", "").text
    assert stat.S_IMODE((keys / "key").stat().st_mode) == 0o600
    assert not (tmp_path / "out/_protect/private/key").exists()
    key = int((keys / "key").read_text(), 16)
    expected = by_command(tmp_path, {"a.jpg": pictures["a.jpg"]}, PhotoSettings(seed=key))
    assert page.download(ids["a.jpg"]) == expected["a.jpg"][1]
