import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from protect.data.captions import without_litter
from protect.data.extras import MANY_NUMBERS, WRITTEN_OUT, is_litter, what_is, what_is_value, written_out
from protect.samples import Member, Sample


def picture(kind="JPEG"):
    buffer = io.BytesIO()
    Image.effect_mandelbrot((40, 30), (-2, -1, 1, 1), 30).convert("RGB").save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["._a.jpg", "d/._a.jpg", ".DS_Store", "d/.DS_Store", "__MACOSX/a.jpg", "__MACOSX/"])
def test_what_macos_leaves_in_archives(name):
    assert is_litter(name)


@pytest.mark.parametrize("name", ["a.jpg", "d/_a.jpg", "a._b", "MACOSX/a.jpg", ".hidden", "a.DS_Store"])
def test_other_names(name):
    assert not is_litter(name)


def test_litter_is_taken_out_of_a_sample():
    sample = Sample("a", (Member("a.jpg", b"1"), Member("._a.jpg", b"\0\5\x16\7" + picture()), Member("a.txt", b"2")))
    left, count = without_litter(sample)
    assert [m.name for m in left.members] == ["a.jpg", "a.txt"] and count == 1


@pytest.mark.parametrize(
    "data", [b"", b"5", b"\x07", b"a dog", b"6.25", "ein Hund läuft".encode("utf-16"), bytes(99)]
)
def test_labels_and_texts_are_nothing_else(data):
    assert what_is(data) == ""


ROWS = "\n".join(" ".join(map(str, row)) for row in np.arange(300).reshape(15, 20) % 256)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (picture("GIF"), "a GIF picture"),
        (picture("AVIF"), "an AVIF picture"),
        (b"\x80\x04" + bytes(range(99)), "a pickle"),
        (b"\x1f\x8b" + bytes(range(99)), "packed data"),
        (bytes(range(128, 256)), "binary data"),
        (base64.encodebytes(picture()), WRITTEN_OUT),
        (picture().hex().encode(), WRITTEN_OUT),
        (b"data:image/png;base64,AAAA", WRITTEN_OUT),
        (ROWS.encode(), MANY_NUMBERS),
        (f"P2\n20 15\n255\n{ROWS}".encode(), MANY_NUMBERS),
        (ROWS.replace(" ", ";").encode("utf-16"), MANY_NUMBERS),
        (json.dumps([[0.5, -1e3]] * 40).encode(), MANY_NUMBERS),
    ],
)
def test_what_may_show_the_picture_again(data, name):
    assert what_is(data) == name


def test_values_are_judged_alike():
    assert what_is_value(ROWS) == MANY_NUMBERS and what_is_value(base64.b64encode(picture()).decode()) == WRITTEN_OUT
    assert what_is_value(list(range(64))) == MANY_NUMBERS and what_is_value(list(range(63))) == ""
    assert what_is_value("a dog " * 99) == what_is_value("2024-05-01") == what_is_value(None) == ""


def test_what_is_written_out_within_a_text_alone_is_changed():
    coded = base64.b64encode(picture()).decode()
    text = f'<p>a dog</p><img src="data:image/jpeg;base64,{coded}">, {coded}.'
    assert written_out(text, lambda part, what: "") == '<p>a dog</p><img src="">, .'
    assert written_out("a dog", lambda part, what: "") == "a dog"
