import hashlib
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from protect.data.captions import CaptionError
from protect.data.parquet import check_parquet, look_at_parquet, rewrite_parquet
from protect.settings.publish import PublishSettings

CAPTION = "a red fox sleeping under an old oak tree"
MAP = pa.map_(pa.string(), pa.string())
STRICT = PublishSettings(urls="strip", others="drop")


def plant(caption):
    return f"dim {caption}"


@pytest.fixture
def rewritten(tmp_path):
    """rewritten(column): a column of one row, written with the sample's caption changed and all else stripped."""

    def write(column, about=None):
        table = pa.table({"key": ["k"], "caption": [CAPTION], "c": column}).replace_schema_metadata(about)
        pq.write_table(table, tmp_path / "in.parquet")
        rewrite_parquet(
            tmp_path / "in.parquet", tmp_path / "out.parquet", {"k": plant}, (), STRICT, captions={"k": (CAPTION,)}
        )
        return pq.read_table(tmp_path / "out.parquet")

    return write


def of(kind, value):
    return pa.array([value], kind)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (of(MAP, [("t", CAPTION), ("uid", "x")]), [("t", plant(CAPTION)), ("uid", None)]),
        (of(pa.map_(pa.string(), pa.int32()), [(CAPTION, 1)]), [(plant(CAPTION), 1)]),
        (of(pa.list_(pa.struct([("a", pa.binary())])), [{"a": CAPTION.encode()}]), [{"a": plant(CAPTION).encode()}]),
        (of(pa.large_list(pa.list_(pa.string())), [[CAPTION, "x"], None]), [[plant(CAPTION), "x"], None]),
        (of(pa.list_(pa.float32(), 64), list(range(64))), None),
        (of(pa.binary(32), hashlib.sha256(b"a").digest()), None),
        (pa.array([CAPTION.encode()]).dictionary_encode(), plant(CAPTION).encode()),
        (of(pa.list_(pa.dictionary(pa.int8(), pa.string())), [CAPTION]), [plant(CAPTION)]),
        (of(pa.string(), json.dumps({"a": json.dumps([CAPTION])})), json.dumps({"a": json.dumps([plant(CAPTION)])})),
        (of(pa.timestamp("us"), 1), of(pa.timestamp("us"), 1).to_pylist()[0]),
    ],
)  # fmt: skip
def test_columns_of_every_type(rewritten, column, expected):
    table = rewritten(column)
    assert table.column("c").to_pylist() == [expected]
    assert table.column("caption").to_pylist() == [plant(CAPTION)]


def test_extension_types_stay_and_are_looked_into(rewritten):
    uuid = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([hashlib.md5(b"a").digest()], pa.binary(16)))
    text = pa.ExtensionArray.from_storage(pa.json_(), pa.array([json.dumps({"t": CAPTION})]))
    pixels = pa.FixedShapeTensorArray.from_numpy_ndarray(np.zeros((1, 16, 16, 3), np.float32))
    for column, expected in ((uuid, None), (text, json.dumps({"t": plant(CAPTION)}))):
        table = rewritten(column)
        assert table.schema.field("c").type == column.type and table.column("c").to_pylist() == [expected]
    assert rewritten(pixels).column("c").null_count == 1


def test_what_the_file_says_of_itself(rewritten):
    features = json.dumps({"info": {"features": {"url": {"dtype": "string"}}}})
    about = {"note": CAPTION, "from": "https://x.example/all", "huggingface": features, "made": "2024"}
    schema = rewritten(of(pa.int64(), 1), about).schema
    assert schema.metadata == {b"note": b"", b"from": b"", b"huggingface": features.encode(), b"made": b"2024"}


def test_links_of_the_file_itself_are_asked_about(tmp_path):
    table = pa.table({"key": ["k"]}).replace_schema_metadata({"from": "https://x.example/all"})
    pq.write_table(table, tmp_path / "a.parquet")
    assert look_at_parquet(tmp_path / "a.parquet", PublishSettings()).links


@pytest.mark.parametrize(("rows", "found"), [({"Key": ["k"]}, "found Key"), (None, "found something else")])
def test_a_file_without_keys_is_told_before_anything_is_done(tmp_path, rows, found):
    path = tmp_path / "a.parquet"
    path.write_bytes(b"<html>")
    if rows:
        pq.write_table(pa.table(rows), path)
    with pytest.raises(CaptionError, match=found):
        check_parquet(path)
