"""Captions in text and JSON files: encodings, forms, and what is written back."""

import json

import pytest

from protect.data.caption_text import decoded, json_caption, new_json


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_text_in_its_encodings(coding):
    assert decoded("h\u00e4fen \u20ac".encode(coding)).strip("\ufeff") == "h\u00e4fen \u20ac"


@pytest.mark.parametrize(
    ("fields", "text", "written"),
    [
        ({"caption": "one", "people": ["Ann"]}, "one", {"caption": "new"}),
        ({"caption": ["one", "two"], "people": ["Ann"]}, "one", {"caption": ["new"]}),
        ({"captions": ["one"], "description": "three"}, "one", {"captions": ["new"], "description": "new"}),
        (["one", "two"], "one", ["new"]),
        ({"title": "a.jpg", "description": "one"}, "one", {"description": "new"}),
        ([{"SourceFile": "./x/a.jpg", "EXIF:ImageDescription": "one", "XMP:Description": "one", "EXIF:Make": "x"}],
         "one", [{"SourceFile": "a.jpg", "XMP:Description": "new", "EXIF:ImageDescription": "new"}]),
        ([{"SourceFile": "b.jpg", "Title": "other"}, {"SourceFile": "a.jpg", "IPTC:Caption-Abstract": "one"}],
         "one", [{"SourceFile": "a.jpg", "IPTC:Caption-Abstract": "new"}]),
        ([{"SourceFile": "a.jpg", "ImageDescription": "OLYMPUS DIGITAL CAMERA", "XPTitle": "one"}],
         "one", [{"SourceFile": "a.jpg", "XPTitle": "new"}]),
    ],
)  # fmt: skip
def test_json_of_all_forms_is_read_and_written_alike(fields, text, written):
    data = json.dumps(fields).encode()
    assert json_caption(data, "a.jpg") == text
    assert json.loads(new_json(data, "a.jpg", "new")) == written


@pytest.mark.parametrize(
    "data",
    [b"", b"{broken", b"5", b"null", b"[]", b"[[]]", b"[5]", b'{"caption": 5}',
     b'{"caption": ""}', b'{"caption": []}',
     b'[{"SourceFile": "b.jpg", "Title": "x"}, {"SourceFile": "c.jpg"}]', b"[" * 100_000, b"\xff\xfe"],
)  # fmt: skip
def test_json_without_a_caption(data):
    assert json_caption(data, "a.jpg") == ""
