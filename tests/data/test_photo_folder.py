"""The walk over a folder of photos: every kind of file, name and link that people have."""

import os

import pytest

from protect.data.file_types import kind_of
from protect.data.photo_folder import walk
from protect.files import PlanError
from protect.jobs.plan import check_places

JPEG, MOVIE = b"\xff\xd8\xff\xe0rest", b"\0\0\0\x14ftypqt  \0\0\0\0qt  "


@pytest.fixture
def folder(tmp_path):
    """folder({name: bytes}): a folder with these files."""

    def make(files, name="in"):
        root = tmp_path / name
        root.mkdir(exist_ok=True)
        for name, data in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(data)
        return root

    return make


def found(root, **options):
    return {entry.name: entry for entry in walk(root, **options)}


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (JPEG, "JPEG"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"GIF89a", "GIF"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "WEBP"),
        (b"RIFF\0\0\0\0AVI LIST", "MOVIE"),
        (b"II*\0\x08\0\0\0", "TIFF"),
        (b"MM\0*\0\0\0\x08", "TIFF"),
        (b"II*\0\x10\0\0\0CR\x02\0", "RAW"),
        (b"FUJIFILMCCD-RAW 0201", "RAW"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIF"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIF"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "AVIF"),
        (b"\0\0\0\x18ftypavif\0\0\0\0avifmif1", "AVIF"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "RAW"),
        (b"\0\0\0\x18ftypisom\0\0\0\1isommp42", "MOVIE"),
        (MOVIE, "MOVIE"),
        (b"BM\0\0\0\0\0\0\0\0", "BMP"),
        (b"8BPS", "PSD"),
        (b"<html>", ""),
        (b"", ""),
    ],
)
def test_kind_of_a_file_by_its_first_bytes(head, kind):
    assert kind_of(head) == kind


def test_every_file_is_listed_once_with_what_is_done_to_it(folder):
    root = folder({
        "a.jpg": JPEG, "b.PNG": JPEG, "no extension": JPEG, "empty.jpg": b"", "page.jpg": b"<html>",
        "notes.doc": b"x",
        ".DS_Store": b"x", "Thumbs.db": b"x", "raw.NEF": b"II*\0\x08", "raw.cr3": b"\0\0\0\x18ftypcrx ",
        "moving.gif": b"GIF89a", "clip.mp4": b"?", ".git/a.jpg": JPEG, "_protect/private/x.jpg": JPEG,
        "captions.csv": b"file,caption\n", "sub/captions.csv": b"x", "e/f/g.jpg": JPEG,
    })  # fmt: skip
    entries = found(root)
    kinds = {name: entry.kind for name, entry in entries.items()}
    assert kinds == {
        "a.jpg": "photo", "b.PNG": "photo", "no extension": "photo", "e/f/g.jpg": "photo", "empty.jpg": "failed",
        "page.jpg": "failed", "notes.doc": "skipped", ".DS_Store": "skipped", "Thumbs.db": "skipped",
        "raw.NEF": "skipped", "raw.cr3": "skipped", "moving.gif": "skipped", "clip.mp4": "skipped",
        ".git": "skipped", "_protect": "skipped", "captions.csv": "skipped", "sub/captions.csv": "skipped",
    }  # fmt: skip
    assert "empty file" in entries["empty.jpg"].reason and "3c68746d6c3e" in entries["page.jpg"].reason
    assert "RAW" in entries["raw.NEF"].reason and "RAW" in entries["raw.cr3"].reason
    assert all(entry.reason for entry in entries.values() if entry.kind != "photo")


def test_order_is_that_of_names_folder_by_folder(folder):
    root = folder({name: JPEG for name in ("b.jpg", "a/z.jpg", "a/b/y.jpg", "c/x.jpg", "B.jpg")})
    assert [entry.name for entry in walk(root)] == ["B.jpg", "b.jpg", "a/z.jpg", "a/b/y.jpg", "c/x.jpg"]


def test_names_of_all_kinds_come_through(folder):
    names = ("with space.jpg", "\U0001f600.jpg", "n" * 251 + ".jpg", "a.jpg", "A.jpg", "line\nbreak.jpg")
    root = folder(dict.fromkeys(names, JPEG))
    broken = os.fsdecode(b"latin\xe9.jpg")
    (root / broken).write_bytes(JPEG)
    assert set(found(root)) == {*names, broken}


def test_text_files_belong_to_the_photo_of_their_name(folder):
    root = folder({
        "a.jpg": JPEG, "a.txt": b"1", "a.jpg.json": b"{}", "a.XMP": b"", "b.jpg": JPEG, "b.heic": JPEG, "b.txt": b"",
        "c.jpg.supplemental-metadata.json": b"{}", "c.jpg": JPEG, "alone.txt": b"", "sub/a.txt": b"",
    })  # fmt: skip
    entries = found(root)
    assert set(entries["a.jpg"].sidecars) == {"a.txt", "a.jpg.json", "a.XMP"}
    assert entries["b.heic"].sidecars == entries["b.jpg"].sidecars == entries["b.jpg"].borrowed == ("b.txt",)
    assert entries["b.heic"].borrowed == () and entries["b.txt"].reason == "text beside b.heic and b.jpg"
    assert entries["c.jpg"].sidecars == ("c.jpg.supplemental-metadata.json",)
    assert (entries["a.txt"].kind, entries["a.txt"].reason) == ("sidecar", "text beside a.jpg")
    assert entries["alone.txt"].kind == entries["sub/a.txt"].kind == "skipped"


def test_lists_are_no_sidecars_unless_a_photo_has_their_name(folder):
    root = folder({name: b"{}" for name in ("captions.csv", "metadata.csv", "metadata.jsonl", "metadata.json")})
    (root / "a.jpg").write_bytes(JPEG)
    assert {entry.kind for name, entry in found(root).items() if name != "a.jpg"} == {"skipped"}
    (root / "metadata.jpg").write_bytes(JPEG)
    assert found(root)["metadata.jpg"].sidecars == ("metadata.json",)


def test_the_movie_of_a_live_photo_is_named_as_such(folder):
    entries = found(folder({"IMG_1.jpg": JPEG, "IMG_1.MOV": MOVIE, "other.mov": MOVIE}))
    assert "live photo IMG_1.jpg" in entries["IMG_1.MOV"].reason
    assert "live photo" not in entries["other.mov"].reason and "movie" in entries["other.mov"].reason


def test_links_end_and_show_nothing_twice(folder, tmp_path):
    root = folder({"a.jpg": JPEG, "sub/b.jpg": JPEG})
    elsewhere = folder({"c.jpg": JPEG, "deep/d.jpg": JPEG}, "elsewhere")
    out = folder({"e.jpg": JPEG}, "out")
    links = {
        "loop": root, "sub/up": root, "again": root / "sub", "further": elsewhere, "twice": elsewhere, "out": out,
        "file.jpg": root / "a.jpg", "dead.jpg": tmp_path / "gone", "self": "self", "above": tmp_path,
    }  # fmt: skip
    for name, target in links.items():
        (root / name).symlink_to(target)
    (elsewhere / "back").symlink_to(root)
    entries = found(root, avoid=out.resolve())
    photos = {name for name, entry in entries.items() if entry.kind == "photo"}
    assert photos == {"a.jpg", "file.jpg", "sub/b.jpg", "further/c.jpg", "further/deep/d.jpg"}
    skipped = {"loop", "again", "twice", "out", "above", "dead.jpg", "self", "sub/up", "further/back"}
    assert {name for name, entry in entries.items() if entry.kind == "skipped"} == skipped
    assert entries["dead.jpg"].reason == entries["self"].reason == "a link that leads nowhere"


def test_what_cannot_be_read_fails_by_name(folder, monkeypatch):
    root = folder({"a.jpg": JPEG, "sub/b.jpg": JPEG, "c.jpg": JPEG})
    scandir, opened = os.scandir, open

    def no_folder(path):
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    def no_file(path, *rest):
        if str(path).endswith("a.jpg"):
            raise PermissionError(13, "Permission denied")
        return opened(path, *rest)

    monkeypatch.setattr("protect.data.photo_folder.os.scandir", no_folder)
    monkeypatch.setattr("builtins.open", no_file)
    entries = found(root)
    kinds = {name: entry.kind for name, entry in entries.items()}
    assert kinds == {"a.jpg": "failed", "c.jpg": "photo", "sub": "failed"}
    assert "Permission denied" in entries["a.jpg"].reason and "folder cannot be read" in entries["sub"].reason


def test_many_files(folder):
    root = folder({f"{n % 50:02}/{n:05}.jpg": b"\xff\xd8\xff" for n in range(3000)})
    names = [entry.name for entry in walk(root)]
    assert len(names) == len(set(names)) == 3000


@pytest.mark.parametrize(
    ("source", "out", "message"),
    [
        ("in", "in", "apart from the photos"),
        ("in", "in/out", "apart from the photos"),
        ("in/sub", "in", "apart from the photos"),
        ("link", "in/out", "apart from the photos"),
        ("nowhere", "out", "expected a folder of photos"),
        ("in/a.jpg", "out", "expected a folder of photos"),
        ("in", "file", "got the file"),
        ("in", "full", "other things in it"),
        ("in", "shards", "with protected shards"),
    ],
)
def test_places_that_are_refused(folder, tmp_path, source, out, message):
    folder({"a.jpg": JPEG, "sub/b.jpg": JPEG})
    folder({"x": b""}, "full")
    folder({"_protect/private/job.json": b"{}"}, "shards")
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "in")
    with pytest.raises(PlanError, match=message):
        check_places(tmp_path / source, tmp_path / out)


def test_places_that_are_taken(folder, tmp_path):
    root = folder({"a.jpg": JPEG})
    folder({"_protect/private/photos.jsonl": b"", "a.jpg": b""}, "before")
    for out in ("new", "new/deeper", "before"):
        check_places(root, tmp_path / out)
