"""Lists of captions: every form that people and tools write, and what becomes of files that only look like one."""

import json

import pytest

from protect.data.caption_lists import CaptionsError, read_list


@pytest.mark.parametrize(
    "text",
    [
        "file,caption\na.jpg,one\nsub/b.jpg,\"two, and \"\"more\"\"\"\n",
        "Caption;SourceFile\r\none;./a.jpg\r\n\"two, and \"\"more\"\"\";sub\\b.jpg\r\n",
        "filename\tplace\tdescription\na.jpg\tRome\tone\nsub/b.jpg\t\ttwo, and \"more\"\n",
        "a.jpg,one\nsub/b.jpg,\"two, and \"\"more\"\"\"\n",
        "\ufefffile,caption\n\na.jpg,one\nsub/b.jpg,\"two,\nand \"\"more\"\"\"\nshort\n",
    ],
)  # fmt: skip
def test_lists_of_all_forms(tmp_path, text):
    (tmp_path / "Captions.CSV").write_text(text, "utf-8")
    assert read_list(tmp_path) == {"a.jpg": "one", "sub/b.jpg": 'two, and "more"'}


def test_no_list_an_empty_list_and_a_broken_one(tmp_path):
    assert read_list(tmp_path) == {}
    (tmp_path / "captions.csv").write_text("")
    assert read_list(tmp_path) == {}
    (tmp_path / "captions.csv").write_text("just words\n")
    with pytest.raises(CaptionsError, match="expected the columns file and caption"):
        read_list(tmp_path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("metadata.csv", "file_name,text\na.jpg,one\nsub/b.jpg,two\n"),
        ("metadata.jsonl", '{"file_name": "a.jpg", "text": "one"}\n\n'
                           '{"file_name": "sub/b.jpg", "text": "two"}\nbroken\n'),
        ("Metadata.JSONL", '{"image": "./a.jpg", "caption": ["one", "three"]}\n'
                           '{"image": "sub\\\\b.jpg", "caption": "two"}'),
        ("captions.json", '{"a.jpg": "one", "sub/b.jpg": {"caption": "two"}}'),
        ("captions.json", '[{"file": "a.jpg", "caption": "one"}, {"file": "sub/b.jpg", "caption": "two"}, 5]'),
        ("exiftool.json", json.dumps([{"SourceFile": "./a.jpg", "XMP:Description": "one"},
                                      {"SourceFile": "./sub/b.jpg", "EXIF:ImageDescription": "two"}])),
    ],
)  # fmt: skip
def test_lists_of_training_sets_and_tools(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert read_list(tmp_path) == {"a.jpg": "one", "sub/b.jpg": "two"}


def test_a_list_in_a_folder_speaks_of_that_folder_and_the_upper_one_counts_first(tmp_path):
    (tmp_path / "train" / ".hidden").mkdir(parents=True)
    (tmp_path / "train" / "metadata.csv").write_text("file_name,text\na.jpg,from below\nb.jpg,only below\n")
    (tmp_path / "train" / ".hidden" / "metadata.csv").write_text("file_name,text\nc.jpg,hidden\n")
    (tmp_path / "captions.csv").write_text("train/a.jpg,from above\n")
    assert read_list(tmp_path) == {"train/a.jpg": "from above", "train/b.jpg": "only below"}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("metadata.csv", b"width,height\n5,6\n"),
        ("metadata.csv", b"\xff\xfe\x00"),
        ("metadata.jsonl", b"{" * 2000),
        ("metadata.json", b'{"title": 5, "access": []}'),
        ("metadata.json", b"[" * 100_000),
        ("sub/captions.csv", b"just words\n"),
    ],
)
def test_what_only_looks_like_a_list_is_passed_over(tmp_path, name, data):
    (tmp_path / "sub").mkdir()
    (tmp_path / name).write_bytes(data)
    assert read_list(tmp_path) == {}
