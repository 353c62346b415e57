"""Property tests: odd tars, tables and JSON raise nothing unexpected, and nothing clean stays in them."""

import io
import json
import os
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protect.data.captions import CaptionError, captions_of, look_at, rewrite_captions
from protect.data.parquet import rewrite_parquet
from protect.data.shards import ShardError, read_samples
from protect.publish.leaks import Originals, scan_parquet, scan_shard
from protect.samples import Member, Sample
from protect.settings.publish import PublishSettings

CAPTION = "a red fox sleeping under an old oak tree"
STRICT = PublishSettings(urls="strip", others="drop", unmatched="drop")
LINK = "https://photos.example.org/1.jpg"
LONG = os.environ.get("FUZZ_EXAMPLES")  # a number for a long run by hand: other inputs each time
quick = settings(
    max_examples=int(LONG or 25), deadline=None, suppress_health_check=list(HealthCheck), derandomize=not LONG
)
names = st.one_of(st.text(max_size=6), st.sampled_from(["caption", "text", "imageUrl", "meta", "id", "lat", "exif"]))
leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12),
    st.sampled_from([CAPTION, CAPTION.upper(), f"Title: {CAPTION}.", LINK, f"see {LINK}", "0f" * 16, ""]),
)  # fmt: skip
values = st.recursive(leaves, lambda v: st.lists(v, max_size=3) | st.dictionaries(names, v, max_size=3), max_leaves=8)


def plant(caption):
    return f"palette {caption}"


def originals(captions=(CAPTION,)):
    known = Originals(STRICT.caption_keys)
    known.add("k", captions, list(map(plant, captions)))
    return known


def tar_of(path, members):
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


@quick
@given(value=st.dictionaries(names, values, max_size=4), note=st.binary(max_size=60), nested=st.booleans())
def test_no_value_of_json_keeps_a_caption_or_a_link(tmp_path_factory, value, note, nested):
    fields = {**value, "inner": json.dumps(value)} if nested else value
    members = (
        Member("k.txt", CAPTION.encode()),
        Member("k.json", json.dumps(fields).encode("utf-8", "replace")),
        Member("k.note", note),
    )
    sample = Sample("k", members)
    try:
        look_at(sample, STRICT)
        changed = rewrite_captions(sample, plant, STRICT)
        known = originals(captions_of(sample, STRICT.caption_keys))
    except CaptionError:
        return
    path = tar_of(tmp_path_factory.mktemp("fuzz") / "0.tar", changed.members)
    leaks = [leak for leak in scan_shard(path, known) if leak.kind in ("caption", "link")]
    assert leaks == [], changed.members[1].data


KINDS = (pa.string(), pa.large_string(), pa.binary(), pa.dictionary(pa.int8(), pa.string()), pa.list_(pa.string()))
texts = st.sampled_from([None, CAPTION, CAPTION.title(), f"{CAPTION}!", LINK, "x", ""])


def cell(kind, text):
    if text is None or pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind):
        return text
    return text.encode() if pa.types.is_binary(kind) else [text, None]


@quick
@given(
    columns=st.lists(st.tuples(st.sampled_from(KINDS), st.lists(texts, min_size=2, max_size=2)), max_size=4),
    key=st.sampled_from(["k", "./k", b"k", "other"]),
    nested=st.booleans(),
)
def test_no_value_of_a_table_keeps_a_caption_or_a_link(tmp_path_factory, columns, key, nested):
    data = {"key": pa.array([key, key]), "caption": pa.array([CAPTION, CAPTION])}
    for number, (kind, rows) in enumerate(columns):
        array = pa.array(
            [cell(kind, text) for text in rows], kind.value_type if pa.types.is_dictionary(kind) else kind
        )
        array = array.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else array
        plain = nested and not pa.types.is_dictionary(kind)
        data[f"column{number}"] = pa.StructArray.from_arrays([array], ["text"]) if plain else array
    folder = tmp_path_factory.mktemp("fuzz")
    pq.write_table(pa.table(data), folder / "0.parquet")
    rewrite_parquet(folder / "0.parquet", folder / "out.parquet", {"k": plant}, (), STRICT)
    leaks = [leak for leak in scan_parquet(folder / "out.parquet", originals()) if leak.kind in ("caption", "link")]
    assert leaks == []
    assert pq.read_table(folder / "out.parquet").num_rows == 2


@quick
@given(
    edits=st.lists(st.tuples(st.integers(0, 6143), st.integers(0, 255)), max_size=8),
    cut=st.integers(0, 10_240),
    packed=st.booleans(),
)
def test_damaged_tars_raise_nothing_but_their_own_error(tmp_path_factory, edits, cut, packed):
    folder = tmp_path_factory.mktemp("fuzz")
    members = [(f"{key}.{e}", CAPTION.encode() * 9) for key in ("a", "b", "ü" * 60) for e in ("jpg", "txt", "json")]
    data = bytearray(tar_of(folder / "0.tar", members).read_bytes())
    for at, byte in edits:
        data[at] = byte
    (folder / "0.tar").write_bytes((b"\x1f\x8b" if packed else b"") + bytes(data[:cut]))
    try:
        for sample in read_samples(folder / "0.tar"):
            assert sample.members
    except ShardError as error:
        assert "\n" not in str(error)
    list(scan_shard(folder / "0.tar", originals()))
