"""Captions of photos: where they are found, in which order, and how the new one goes back."""

import csv
import json

import pytest

from protect.data.metadata.metadata import Metadata
from protect.data.metadata.xmp import PROHIBITED, read_xmp, write_xmp
from protect.data.photo_captions import album_of, find_caption, new_sidecars, sidecar_texts
from protect.data.photo_folder import Entry
from protect.jobs.photos.records import PhotoRecord, write_list
from protect.settings.publish import CAPTION_PLACES, PhotoSettings

EMBEDDED = {"xmp:dc:description": "in xmp", "iptc:120": "in iptc", "exif:010e": "in exif"}


def entry(folder, *sidecars, name="2024 Rome/a.jpg"):
    return Entry(name, folder / "a.jpg", "photo", "", sidecars)


@pytest.mark.parametrize(
    ("order", "source", "text"),
    [
        (CAPTION_PLACES, "csv", "in csv"),
        (CAPTION_PLACES[1:], "sidecar", "in txt"),
        (("xmp", "csv"), "xmp", "in xmp"),
        (("iptc", "xmp"), "iptc", "in iptc"),
        (("exif",), "exif", "in exif"),
        (("folder", "exif"), "folder", "Rome"),
        ((), "", ""),
    ],
)
def test_the_first_place_that_has_one_counts(tmp_path, order, source, text):
    found = find_caption(
        entry(tmp_path, "a.txt"),
        Metadata(captions=EMBEDDED),
        {"2024 Rome/a.jpg": "in csv"},
        order,
        {"a.txt": "in txt"},
    )
    assert (found.source, found.text) == (source, text)
    assert found.suggested == (source in ("folder", ""))


def test_places_that_are_empty_are_passed_over(tmp_path):
    found = find_caption(entry(tmp_path), Metadata(), {}, CAPTION_PLACES, {"a.json": ""})
    assert (found.source, found.text) == ("folder", "Rome")


@pytest.mark.parametrize(
    ("name", "album"),
    [
        ("Summer in Rome/a.jpg", "Summer in Rome"),
        ("x/2024-05-01 Summer_in_Rome/a.jpg", "Summer in Rome"),
        ("2024.05.01/a.jpg", ""),
        ("DCIM/a.jpg", ""),
        ("100CANON/a.jpg", ""),
        ("101_PANA/a.jpg", ""),
        ("New folder/a.jpg", ""),
        ("Untitled album (3)/a.jpg", ""),
        ("Camera Roll/a.jpg", ""),
        ("3 cats/a.jpg", "3 cats"),
        ("Photos from 2023/a.jpg", ""),
        ("Fotos von 2023/a.jpg", ""),
        ("Google Photos/a.jpg", ""),
        ("2023\u5e74\u306e\u5199\u771f/a.jpg", ""),
        ("Photos from Rome/a.jpg", "Photos from Rome"),
        ("Photos Rome 2023/a.jpg", "Photos Rome 2023"),
        ("a.jpg", ""),
        ("b\udcff c/a.jpg", "b c"),
    ],
)
def test_the_albums_name(name, album):
    assert album_of(name) == album


# --- sidecars


def test_sidecars_are_read_and_written_alike(tmp_path):
    texts = {
        "a.txt": "first line\r\n second\n".encode("utf-8-sig"),
        "a.caption": b"for training",
        "a.jpg.json": json.dumps({"title": "a.jpg", "description": "in json", "geoData": {"latitude": 1}}).encode(),
        "a.xmp": write_xmp(("dc:title", "photoshop:Headline"), "in xmp", {"dc:rights": ("Ann",)}, False),
        "a.JSON": b"[5]",
    }
    for name, data in texts.items():
        (tmp_path / name).write_bytes(data)
    photo = entry(tmp_path, *texts)
    found = sidecar_texts(photo)
    assert found == {
        "a.txt": "first line second", "a.caption": "for training", "a.jpg.json": "in json", "a.JSON": "",
        "a.xmp": "in xmp",
    }  # fmt: skip
    assert next(iter(found)) == "a.txt"
    files = new_sidecars(photo, found, "new \u00fc", PhotoSettings())
    assert files["a.txt"] == files["a.caption"] == "new \u00fc\n".encode()
    assert json.loads(files["a.jpg.json"]) == {"description": "new \u00fc"}
    packet = read_xmp(files["a.xmp"])
    assert packet == {"dc:title": ("new \u00fc",), "photoshop:Headline": ("new \u00fc",), "dc:rights": ("Ann",)}
    assert PROHIBITED.encode() in files["a.xmp"] and set(files) == set(texts) - {"a.JSON"}


def test_a_borrowed_text_is_read_and_left_to_its_owner(tmp_path):
    (tmp_path / "a.txt").write_text("of both")
    photo = Entry("a.png", tmp_path / "a.png", "photo", "", ("a.txt",), ("a.txt",))
    assert sidecar_texts(photo) == {"a.txt": "of both"}
    assert new_sidecars(photo, {"a.txt": "of both"}, "new", PhotoSettings()) == {}


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        ("a.txt", "h\u00e4fen".encode("latin-1"), "h\u00e4fen"),
        ("a.txt", "h\u00e4fen".encode("utf-16"), "h\u00e4fen"),
        ("a.txt", b"", ""),
        ("a.txt", b" \n\0 ", ""),
        ("a.json", b"{broken", ""),
        ("a.json", b'{"caption": 5}', ""),
        ("a.json", b'{"caption": "half \\ud800 of one"}', "half of one"),
        ("a.json", b"[" * 100_000, ""),
        ("a.xmp", b"<broken", ""),
    ],
)
def test_sidecars_of_all_qualities(tmp_path, name, data, text):
    (tmp_path / name).write_bytes(data)
    assert sidecar_texts(entry(tmp_path, name)) == {name: text}


# --- what is written


def test_the_list_that_is_written(tmp_path):
    records = [
        PhotoRecord("b\udcff.jpg", "protected", caption="words, \u00fc", caption_before="\u00fc"),
        PhotoRecord("c.jpg", "protected", caption="words", suggested=True),
        PhotoRecord("d.txt", "skipped", "not a picture"),
    ]
    write_list(tmp_path, records)
    assert b"b\xff.jpg" in (tmp_path / "captions.csv").read_bytes()
    with (tmp_path / "captions.csv").open(newline="", errors="surrogateescape") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["file", "caption", "suggested"],
        ["b\udcff.jpg", "words, \u00fc", ""],
        ["c.jpg", "words", "yes"],
    ]


def test_places_are_checked():
    with pytest.raises(ValueError, match="caption_from: expected csv, sidecar"):
        PhotoSettings(caption_from=("xmp", "nowhere"))
