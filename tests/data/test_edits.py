import base64
import json

import pytest

from protect.data.captions import look_at, rewrite_captions
from protect.samples import Member, Sample
from protect.settings.publish import PublishSettings

CAPTION = "A red fox, asleep under an oak"
STRICT = PublishSettings(urls="strip", others="drop")
ASK = PublishSettings()


def plant(caption):
    return f"dim {caption}"


def edited(name, text, caption=CAPTION, settings=STRICT):
    sample = Sample("a", (Member("a.txt", caption.encode()), Member(f"a.{name}", text.encode())))
    members = rewrite_captions(sample, plant, settings).members
    return members[1].data.decode() if len(members) > 1 else None


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("json", json.dumps(CAPTION), json.dumps(plant(CAPTION))),
        ("json", '"https://x.example/1.jpg"', "null"),
        ("json", "17", "17"),
        ("jsonl", f'["{CAPTION}"]\n\n{{"uid": "k", "n": 1}}\n', f'["dim {CAPTION}"]\n\n{{"uid": null, "n": 1}}\n'),
        ("yaml", f"c: {CAPTION}\nuid: k1\nn: 5\ngps_lat: 52.5\n", f"c: dim {CAPTION}\nuid: \nn: 5\ngps_lat: \n"),
        ("yaml", "url: photos.example.org/1\n# https://x.example/1\n", "url: \n# \n"),
        ("xml", f"<a><c>{CAPTION}</c><uid>k1</uid></a>", f"<a><c>dim {CAPTION}</c><uid></uid></a>"),
        ("note", "a red_fox asleep_under-an_oak", "dim a red_fox asleep_under-an_oak"),
        ("note", "A%20red%20fox%2C%20asleep%20under", "dim A%20red%20fox%2C%20asleep%20under"),
        ("note", "52.5200, 13.4050", ""),
        ("note", "0.5200, 0.4050", "0.5200, 0.4050"),
        ("note", "flickr:1234567", ""),
        ("note", "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG", ""),
    ],
)  # fmt: skip
def test_texts_of_every_form(name, text, expected):
    assert edited(name, text, CAPTION if "%" not in text else "a red fox asleep under") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("title: Fox\n", "title: dim Fox\n"),
        ("1,fox\n", "1,dim fox\n"),
        ('1,"Fox",x', '1,"dim Fox",x'),
        ("<c>Fox</c>", "<c>dim Fox</c>"),
        ("foxes, a red fox", "foxes, a red fox"),
    ],
)
def test_short_captions_in_the_cells_of_a_text(text, expected):
    assert edited("note", text, "Fox") == expected


def test_a_picture_within_a_text_is_emptied_and_asked_about():
    page = f'<img src="data:image/png;base64,{base64.b64encode(bytes(range(256)) * 4).decode()}">'
    assert edited("html", page) == '<img src="">'
    sample = Sample("a", (Member("a.txt", b"a dog"), Member("a.html", page.encode())))
    assert look_at(sample, ASK).others == ("'html' (a picture or file written out as text)",)


def test_words_are_planted_once_where_a_text_holds_links_too():
    assert edited("md", f"{CAPTION}\nsee https://x.example/1") == f"dim {CAPTION}\nsee "


def test_named_links_are_asked_about():
    sample = Sample("a", (Member("a.txt", b"a dog"), Member("a.yaml", b"uid: k1\nwidth: 5")))
    assert look_at(sample, ASK).links == ("uid",)


def test_prose_with_a_colon_names_no_link():
    sample = Sample("a", (Member("a.txt", b"a dog"), Member("a.md", b"A winding path: it leads to the wood")))
    assert look_at(sample, ASK).links == ()
