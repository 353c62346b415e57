import json
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from protect.data.captions import CaptionError, captions_of, look_at, rewrite_captions
from protect.data.links import is_link
from protect.data.parquet import look_at_parquet, rewrite_parquet
from protect.data.text import fold
from protect.samples import Member, Sample
from protect.settings.publish import PublishSettings

KEEP, STRIP = (PublishSettings(urls=urls, unmatched="keep") for urls in ("keep", "strip"))
KEYS = KEEP.caption_keys
FIELDS = {
    "caption": "A dog",
    "captions": ["A dog", "Ein Hund läuft"],
    "url": "http://example.org/1.jpg",
    "key": "000000000",
    "status": "success",
    "error_message": None,
    "width": 150,
    "ratio": 1.0e-7,
    "exif": '{"Image ImageDescription": "a  DOG", "Image Make": "Canon"}',
    "sha256": "0f" * 32,
    "uid": "u1",
}


def sample(key="a", **members):
    return Sample(
        key,
        tuple(Member(f"{key}.{e}", d if isinstance(d, bytes) else d.encode()) for e, d in members.items()),
    )


def data(sample, extension):
    return next(m.data for m in sample.members if m.name.endswith("." + extension))


def link_fields(sample):
    return look_at(sample, KEEP).links


def parquet_links(path):
    return look_at_parquet(path, KEEP).links


def plant(caption):
    return f"red blue {caption}"


def dumps(fields, **style):
    return json.dumps(fields, **({"indent": 4} | style))


# --- reading captions


def test_captions_in_order_and_distinct():
    fields = {"alt": "alt", "captions": [" one ", "three", None, ""], "caption": "one", "text": None, "n": 3}
    found = captions_of(sample(txt="one\n two\t\r\n\nthree\n", json=dumps(fields)), KEYS)
    assert found == ("one", "two", "three", "alt")
    assert captions_of(sample(json=dumps(fields)), ("captions", "alt")) == ("one", "three", "alt")


def test_captions_of_a_bare_sample():
    assert captions_of(sample(jpg=b"\xff\xd8"), KEYS) == ()
    assert captions_of(sample(txt="", json="[1, 2]"), KEYS) == ()


def test_captions_with_bom_emoji_and_unusual_separators():
    assert captions_of(sample(txt="\ufeffa 🐶\u2028still one\x0bline\nzwei"), KEYS) == (
        "a 🐶\u2028still one\x0bline",
        "zwei",
    )
    assert captions_of(sample(json="\ufeff" + dumps({"caption": "犬 🐶"})), KEYS) == ("犬 🐶",)
    assert captions_of(sample(json='{"TEXT": "upper"}'), KEYS) == ("upper",)


def test_a_very_long_caption():
    long = "word " * 2000
    assert captions_of(sample(txt=long), KEYS) == (long.strip(),)
    assert data(rewrite_captions(sample(txt=long), plant, KEEP), "txt") == plant(long).encode()


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"txt": b"caf\xe9"}, "UTF-8.*a.txt.*0xe9"),
        ({"json": b'{"caption": "caf\xe9"}'}, "UTF-8.*a.json"),
        ({"json": b'{"caption": '}, "JSON.*a.json"),
        ({"json": b""}, "JSON.*a.json"),
        ({"json": b"[" * 100_000}, "JSON.*a.json"),
        ({"json": b'{"caption": "half \\ud83d"}'}, "an unpaired surrogate"),
    ],
)
def test_unreadable_captions_name_the_key(members, message):
    for call in (lambda s: captions_of(s, KEYS), lambda s: rewrite_captions(s, plant, KEEP)):
        with pytest.raises(CaptionError, match=message) as error:
            call(sample(**members))
        assert str(error.value).startswith("a: expected") and "\n" not in str(error.value)


def test_fold():
    assert fold(" A\tDog \n") == fold("a dog") != fold("a dogs")


# --- rewriting


@pytest.mark.parametrize(
    "text",
    [
        dumps(FIELDS),
        dumps(FIELDS, indent=None),
        dumps(FIELDS, indent=2, ensure_ascii=False) + "\n",
        dumps(FIELDS, indent=None, separators=(",", ":")),
        "\ufeff" + dumps(FIELDS, sort_keys=True).replace("\n", "\r\n"),
        '{ "caption" : "A\\u0020dog \\/ \\"q\\" \\\\",\t"x": [NaN, 1.50, 1E5, {}, [], "A\\u00E4"], "x": -0 }',
        '["A dog", {"caption": "x"}]',
        '"A dog"',
        "3",
    ],
)
def test_identity_gives_the_bytes_back(text):
    before = sample(json=text, txt="A dog \r\n\r\n Ein Hund läuft")
    assert rewrite_captions(before, lambda caption: caption, KEEP) == before


@pytest.mark.parametrize("style", [{}, {"indent": None}, {"indent": 1, "ensure_ascii": False}])
def test_json_captions_change_in_the_style_of_the_file(style):
    changed = rewrite_captions(sample(json=dumps(FIELDS, **style)), plant, KEEP)
    expected = FIELDS | {
        "caption": "red blue A dog",
        "captions": ["red blue A dog", "red blue Ein Hund läuft"],
        "exif": '{"Image ImageDescription": "red blue a  DOG", "Image Make": "Canon"}',
    }
    assert data(changed, "json").decode() == dumps(expected, **style)


def test_text_keeps_lines_ends_and_surroundings():
    before = "\ufeffa 🐶\r\n  two \r\n\r\nthree\n\n"
    after = data(rewrite_captions(sample(txt=before), plant, KEEP), "txt").decode()
    assert after == "\ufeffred blue a 🐶\r\n  red blue two \r\n\r\nred blue three\n\n"


def test_nulls_numbers_and_other_members_stay():
    before = sample(jpg=b"\xff\xd8", json=dumps({"caption": None, "captions": [None, 3, ""], "other": "b"}), cls="3")
    assert rewrite_captions(before, plant, KEEP) == before


def test_copies_of_a_caption_change_at_any_depth():
    fields = {"meta": {"deep": [{"title": "a dog"}, "A dog and more"]}, "notes": "first\nA DOG", "name": "x"}
    changed = json.loads(data(rewrite_captions(sample(txt="A dog", json=dumps(fields)), plant, KEEP), "json"))
    assert changed["meta"]["deep"] == [{"title": "red blue a dog"}, "A dog and more"]
    assert changed["notes"] == "first\nred blue A DOG"
    assert changed["name"] == "x"


def test_further_text_members_change_only_where_they_repeat_a_caption():
    members = {
        "txt": "A dog",
        "boxes.txt": "0 0.5\nA dog\n",
        "more.json": '{"caption": "x", "t": "A dog"}',
        "b.txt": b"\xff",
    }
    changed = rewrite_captions(sample(**members), plant, KEEP)
    assert data(changed, "boxes.txt") == b"0 0.5\nred blue A dog\n"
    assert data(changed, "more.json") == b'{"caption": "x", "t": "red blue A dog"}'
    assert data(changed, "b.txt") == b"\xff"


def test_upper_case_extensions_and_dotted_keys():
    before = Sample(
        "d/a", (Member("d/a.TXT", b"A dog"), Member("note", b"A dog"), Member("d/a.JSON", b'{"alt":"b"}'))
    )
    assert [m.data for m in rewrite_captions(before, plant, KEEP).members] == [
        b"red blue A dog",
        b"red blue A dog",
        b'{"alt":"red blue b"}',
    ]


def test_non_ascii_words_in_an_ascii_file_are_escaped_and_read_back():
    changed = rewrite_captions(sample(json='{"caption": "A dog"}'), lambda c: f"é🐶 {c}", KEEP)
    assert data(changed, "json").isascii()
    assert captions_of(changed, KEYS) == ("é🐶 A dog",)


# --- links


@pytest.mark.parametrize(
    "name",
    [
        "url",
        "URL",
        "original_url",
        "sha256",
        "md5",
        "phash",
        "image_url",
        "thumb_sha256",
        "imageUrl",
        "imageURLs",
        "image_uri",
        "link",
        "uid",
        "md5sum",
        "hash",
        "photo_id",
        "imageId",
        "SHA-256",
        "file_name",
        "filePath",
    ],
)
def test_link_names(name):
    assert is_link(name)


@pytest.mark.parametrize("name", ["caption", "curl", "key", "width", "hashtags", "linked", "shape", "rapid"])
def test_other_names(name):
    assert not is_link(name)


def test_links_are_found_kept_or_stripped():
    fields = FIELDS | {"md5": None, "image_url": ["http://a", None], "inner": [{"page_url": "http://b", "page": 1}]}
    before = sample(json=dumps(fields))
    assert link_fields(before) == ("url", "sha256", "uid", "image_url", "page_url")
    assert link_fields(rewrite_captions(before, plant, KEEP)) == ("url", "sha256", "uid", "image_url", "page_url")
    after = rewrite_captions(before, lambda caption: caption, STRIP)
    assert link_fields(after) == ()
    stripped = {"url": None, "sha256": None, "uid": None, "image_url": [None, None]}
    stripped["inner"] = [{"page_url": None, "page": 1}]
    assert data(after, "json").decode() == dumps(fields | stripped)


# --- parquet


def table(**extra):
    columns = {
        "caption": ["A dog", "a cat", None, "a bird"],
        "captions": [["A dog", "one dog"], [], None, ["a bird"]],
        "url": ["http://1", "http://2", None, "http://4"],
        "title": ["a  DOG", "a dog", "x", "a bird"],
        "key": ["000", "001", "002", "003"],
        "status": ["success", "failed_to_download", "success", "success"],
        "width": [1, None, 3, 4],
        "exif": ['{"d": "a dog"}', None, "{}", None],
        "sha256": ["f0", None, None, "f4"],
    }
    return pa.table(columns | extra).replace_schema_metadata({"made": "by hand"})


def write_parquet(path, rows, **options):
    pq.write_table(rows, path, **({"row_group_size": 3} | options))
    return path


def on_disk(tmp_path):
    return pq.read_table(tmp_path / "00000.parquet")


def rewritten(tmp_path, rows, words=(), dropped=(), settings=KEEP, **options):
    source = write_parquet(tmp_path / "00000.parquet", rows, **options)
    rewrite_parquet(source, tmp_path / "out.parquet", dict.fromkeys(words, plant), dropped, settings)
    assert sorted(os.listdir(tmp_path)) == ["00000.parquet", "out.parquet"]
    return pq.read_table(tmp_path / "out.parquet")


def test_parquet_captions_change_by_key(tmp_path):
    before = table()
    after = rewritten(tmp_path, before, words=("000", "002"))
    assert after.schema.equals(on_disk(tmp_path).schema, check_metadata=True)
    assert after["caption"].to_pylist() == ["red blue A dog", "a cat", None, "a bird"]
    assert after["captions"].to_pylist()[:3] == [["red blue A dog", "red blue one dog"], [], None]
    assert after["title"].to_pylist() == ["red blue a  DOG", "a dog", "x", "a bird"]
    assert after["exif"].to_pylist()[0] == '{"d": "red blue a dog"}'
    for name in ("url", "key", "status", "width", "sha256"):
        assert after[name].equals(before[name])


def test_parquet_links_are_stripped_in_every_row(tmp_path):
    before = table()
    assert parquet_links(write_parquet(tmp_path / "00000.parquet", before)) == ("url", "sha256")
    after = rewritten(tmp_path, before, settings=STRIP)
    assert parquet_links(tmp_path / "out.parquet") == ()
    assert after.schema.equals(on_disk(tmp_path).schema)
    assert after.drop_columns(["url", "sha256"]).equals(before.drop_columns(["url", "sha256"]))


def test_parquet_dropped_rows_keep_their_place(tmp_path):
    before = table()
    after = rewritten(tmp_path, before, words=("000",), dropped={"003"})
    row = after.slice(3, 1).to_pylist()[0]
    assert row == before.slice(3, 1).to_pylist()[0] | {
        "caption": None,
        "captions": None,
        "url": None,
        "title": "",
        "status": "dropped",
        "sha256": None,
    }
    assert after.num_rows == 4 and after.slice(1, 2).equals(before.slice(1, 2))


@pytest.mark.parametrize("compliant", [True, False])
def test_parquet_without_changes_is_the_same_table_in_the_same_form(tmp_path, compliant):
    rows = table(kind=pa.array(["a", "b", "a", "a"]).dictionary_encode(), alt=pa.array(["x"] * 4, pa.large_string()))
    after = rewritten(
        tmp_path,
        rows,
        use_compliant_nested_type=compliant,
        compression={"caption": "zstd", f"captions.list.{'element' if compliant else 'item'}": "gzip"},
    )
    assert after.equals(on_disk(tmp_path), check_metadata=True)
    old, new = (pq.ParquetFile(tmp_path / n) for n in ("00000.parquet", "out.parquet"))
    with old, new:
        assert new.num_row_groups == old.num_row_groups == 2
        assert new.schema.equals(old.schema)
        for i in range(old.metadata.num_columns):
            assert new.metadata.row_group(0).column(i).compression == old.metadata.row_group(0).column(i).compression


def test_parquet_with_dictionary_and_large_captions(tmp_path):
    rows = table(text=pa.array(["A", None, "B", "A"]).dictionary_encode(), alt=pa.array(["x"] * 4, pa.large_string()))
    after = rewritten(tmp_path, rows, words=("000", "001"))
    assert after.schema.equals(on_disk(tmp_path).schema)
    assert after["text"].to_pylist() == ["red blue A", None, "B", "A"]
    assert after["alt"].to_pylist() == ["red blue x", "red blue x", "x", "x"]


def test_parquet_bytes_are_deterministic(tmp_path):
    rewritten(tmp_path, table(), words=("000",), dropped=("003",), settings=STRIP)
    first = (tmp_path / "out.parquet").read_bytes()
    rewritten(tmp_path, table(), words=("000",), dropped=("003",), settings=STRIP)
    assert (tmp_path / "out.parquet").read_bytes() == first


def test_parquet_number_keys_no_rows_and_in_place(tmp_path):
    source = write_parquet(tmp_path / "n.parquet", pa.table({"key": [7, 8], "caption": ["a", "b"]}))
    rewrite_parquet(source, source, {"8": plant}, (), KEEP)
    assert pq.read_table(source)["caption"].to_pylist() == ["a", "red blue b"]
    empty = write_parquet(tmp_path / "empty.parquet", table().slice(0, 0))
    rewrite_parquet(empty, tmp_path / "still.parquet", {"000": plant}, ("003",), STRIP)
    assert pq.read_table(tmp_path / "still.parquet").equals(pq.read_table(empty), check_metadata=True)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (pa.table({"caption": ["a"]}), "column key"),
        (
            pa.table({"key": ["7"], "caption": ["a"]}),
            "found none for 1 of 1 rows.*--unmatched keep.*--unmatched drop",
        ),
    ],
)
def test_parquet_refused(tmp_path, rows, message):
    source = write_parquet(tmp_path / "0.parquet", rows)
    with pytest.raises(CaptionError, match=message) as error:
        rewrite_parquet(source, tmp_path / "out.parquet", {}, ("0",), PublishSettings())
    assert "\n" not in str(error.value)
    assert os.listdir(tmp_path) == ["0.parquet"]


def test_not_a_parquet(tmp_path):
    source = tmp_path / "0.parquet"
    source.write_bytes(b"nothing of the kind")
    with pytest.raises(CaptionError, match="expected a parquet"):
        rewrite_parquet(source, tmp_path / "out.parquet", {}, (), KEEP)
    with pytest.raises(CaptionError, match="expected a parquet"):
        parquet_links(source)
