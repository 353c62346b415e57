import gzip
import io
import os
import tarfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from webdataset.shardlists import expand_urls
from webdataset.tariterators import base_plus_ext, group_by_keys, tar_file_expander

from protect.data.shard_list import _expanded, name_shards, packed_beside
from protect.data.shard_writer import ShardWriter, replace_members
from protect.data.shards import (
    ShardError,
    TruncatedShard,
    find_shards,
    image_member,
    is_interleaved,
    read_samples,
    shard_stem,
    split_name,
)
from protect.samples import Member, Sample

FLICKR = Path(__file__).parents[2] / "../shared/data/flickr8k-mini"


def write(path, samples):
    with ShardWriter(path) as writer:
        for sample in samples:
            writer.write(sample)
        writer.commit()
    return path


def names(sample):
    return [m.name for m in sample.members]


def three(key, size=700):
    return Sample(key, tuple(Member(f"{key}.{e}", (key + e).encode() * (size // 4)) for e in ("jpg", "json", "txt")))


# --- finding


def test_find_shards_in_a_folder_and_in_folders_of_it(tmp_path):
    for name in ("00001.tar", "00000.tar.gz", "00002.tgz", "x.parquet", "00003.tar.part", ".hidden.tar"):
        (tmp_path / name).touch()
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "00001.tar").touch()
    (tmp_path / "_protect").mkdir()
    (tmp_path / "_protect" / "x.tar").touch()
    names = ["00000.tar.gz", "00001.tar", "00002.tgz", "deeper/00001.tar"]
    assert list(name_shards([str(tmp_path)]).values()) == names
    assert find_shards([str(tmp_path)]) == [tmp_path / name for name in names]


def test_find_shards_by_range_list_and_name(tmp_path):
    paths = [tmp_path / f"{i:05}.tar" for i in range(5)]
    for path in paths:
        path.touch()
    assert find_shards([f"{tmp_path}/{{00000..00003}}.tar"]) == paths[:4]
    assert find_shards([f"{paths[2]}::{paths[0]}", str(paths[4])]) == [paths[2], paths[0], paths[4]]
    braces = tmp_path / "{a}.tar"
    braces.touch()
    assert find_shards([str(braces)]) == [braces]


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        (["{tmp}/missing.tar"], "no such file"),
        (["{tmp}/{{00000..00001}}.tar"], "no such file"),
        (["{tmp}/{{00000..0"], "close the brace"),
        (["{tmp}/empty"], "found none"),
        (["{tmp}/photo.jpg"], "ending in .tar"),
        (["{tmp}/00000.tar", "{tmp}/other/00000.tar"], "each name once"),
        (["{tmp}/00000.tar", "{tmp}/00000.tar"], "each name once"),
        (["{tmp}/00000.tar", "{tmp}/other/00000.tar.gz"], "each name once"),
        ([], "name at least one"),
    ],
)
def test_find_shards_refuses(tmp_path, sources, message):
    for name in ("empty", "other"):
        (tmp_path / name).mkdir()
    for name in ("00000.tar", "other/00000.tar", "other/00000.tar.gz", "photo.jpg"):
        (tmp_path / name).touch()
    with pytest.raises(ShardError, match=message) as error:
        find_shards([source.format(tmp=tmp_path) for source in sources])
    assert "\n" not in str(error.value) and "expected" in str(error.value) and "found" in str(error.value)


@pytest.mark.parametrize("name", ["00000.tar", "00000.tar.gz", "00000.tgz", "00000.TAR"])
def test_shard_stem(name):
    assert shard_stem(Path("in") / name) == "00000"


def test_shard_stem_keeps_other_dots():
    assert shard_stem(Path("cc3m.v2.tar.gz")) == "cc3m.v2"


# --- names


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("000000000.jpg", ("000000000", "jpg")),
        ("train/a.b/0001.seg.PNG", ("train/a.b/0001", "seg.png")),
        ("./x.JPG", ("./x", "jpg")),
        ("héllo wörld.txt", ("héllo wörld", "txt")),
        ("a.", ("a", "")),
        ("README", ("", "")),
        ("a.b/README", ("", "")),
        (".hidden", ("", "")),
        ("__meta__", ("", "")),
        ("__meta__/info.json", ("", "")),
        ("__x__.json", ("__x__", "json")),
    ],
)
def test_split_name(name, expected):
    assert split_name(name) == expected
    if "__meta__" not in name:
        key, extension = base_plus_ext(name)
        assert expected == (key or "", (extension or "").lower())


@given(st.text(alphabet="ab./_ \n", max_size=12))
def test_names_are_split_as_webdataset_splits_them(name):
    key, extension = base_plus_ext(name)
    assert split_name(name) in ((key or "", (extension or "").lower()), ("", ""))
    assert split_name(name)[0] or key is None or "__" in name


@given(st.text(alphabet="a0{}.,:/-", max_size=12))
def test_ranges_are_expanded_as_webdataset_expands_them(text):
    def expanded(expand):
        try:
            return expand(text)
        except ValueError as error:
            return str(error)

    assert expanded(_expanded) == expanded(expand_urls)


# --- reading


def test_read_groups_neighbours(tmp_path, make_tar):
    members = [("b.jpg", b"1"), ("b.txt", b"2"), ("a/c.d.JPG", b"3"), ("a/c.txt", b"4"), ("b2.jpg", b"")]
    samples = list(read_samples(make_tar(tmp_path / "0.tar", members)))
    assert [s.key for s in samples] == ["b", "a/c", "b2"]
    assert [(m.name, m.data) for s in samples for m in s.members] == members


def test_read_sees_the_samples_that_webdataset_sees(tmp_path, make_tar):
    members = [
        ("__meta__", b"m"),
        ("x/a.v1.jpg", b"1"),
        ("x/a.TXT", b"2"),
        ("note", b"n"),
        ("x/a.json", b"3"),
    ]
    members += [("b.jpg", b"4"), ("__info__/b.txt", b"i"), ("b.txt", b"5")]
    path = make_tar(tmp_path / "0.tar", members)
    with path.open("rb") as stream:
        theirs = list(group_by_keys(tar_file_expander([{"url": "", "stream": stream}])))
    for sample in theirs:
        del sample["__url__"]
    ours = [
        {"__key__": s.key} | {split_name(m.name)[1]: m.data for m in s.members if split_name(m.name)[0]}
        for s in read_samples(path)
        if s.key
    ]
    assert ours == theirs


def test_members_of_no_sample_keep_their_place(tmp_path, make_tar):
    members = [
        ("__meta__", b"m"),
        ("a.jpg", b"1"),
        ("__x__/y", b"x"),
        ("a.txt", b"2"),
        ("LICENSE", b"l"),
        ("b.jpg", b"3"),
    ]
    path = make_tar(tmp_path / "0.tar", [*members, ("end", b"e")])
    samples = list(read_samples(path))
    assert [s.key for s in samples] == ["", "a", "", "b", ""]
    assert names(samples[1]) == ["a.jpg", "__x__/y", "a.txt"]
    assert [(m.name, m.data) for s in samples for m in s.members] == [*members, ("end", b"e")]


def test_duplicates_become_samples_of_the_same_key(tmp_path, make_tar):
    members = [("a.jpg", b"1"), ("a.JPG", b"2"), ("a.txt", b"3"), ("b.jpg", b"4"), ("a.jpg", b"5")]
    samples = list(read_samples(make_tar(tmp_path / "0.tar", members)))
    assert [(s.key, names(s)) for s in samples] == [
        ("a", ["a.jpg"]),
        ("a", ["a.JPG", "a.txt"]),
        ("b", ["b.jpg"]),
        ("a", ["a.jpg"]),
    ]


def test_folders_pass_through_and_links_are_skipped(tmp_path):
    path = tmp_path / "0.tar"
    with tarfile.open(path, "w") as tar:
        for name, kind in [
            ("d", tarfile.DIRTYPE),
            ("d/a.jpg", tarfile.REGTYPE),
            ("d/b.jpg", tarfile.SYMTYPE),
        ]:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "a.jpg" if kind == tarfile.SYMTYPE else ""
            tar.addfile(info)
    samples = list(read_samples(path))
    assert [(s.key, names(s)) for s in samples] == [("", ["d/"]), ("d/a", ["d/a.jpg"])]
    with tarfile.open(write(tmp_path / "1.tar", samples)) as tar:
        assert [(m.name, m.isdir()) for m in tar] == [("d", True), ("d/a.jpg", False)]


@pytest.mark.parametrize(
    "content", [b"", b"x", b"not a tar" * 200, b"\x1f\x8bnot gzip", gzip.compress(b"hello" * 300, mtime=0)]
)
def test_not_a_tar(tmp_path, content):
    path = tmp_path / "0.tar"
    path.write_bytes(content)
    with pytest.raises(ShardError, match="expected a tar"):
        list(read_samples(path))


def test_tar_without_members(tmp_path):
    assert list(read_samples(write(tmp_path / "0.tar", []))) == []


def test_reading_holds_no_more_than_a_sample(tmp_path):
    path = write(tmp_path / "0.tar", (three(f"{i:09}", 20_000) for i in range(40)))
    tracemalloc.start()
    count = sum(1 for _ in read_samples(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 40
    assert peak < path.stat().st_size / 8


# --- damage


@pytest.mark.parametrize("name", ["0.tar", "0.tar.gz"])
def test_truncated_at_any_offset(tmp_path, name):
    samples = [three("a", 40), three("ü" * 60, 8), Sample("", (Member("__m__", b"m"),)), three("c", 600)]
    whole = write(tmp_path / name, samples).read_bytes()
    cut = tmp_path / f"cut-{name}"
    kept = set()
    for length in [*range(0, len(whole), len(whole) // 150), len(whole) - 1]:
        cut.write_bytes(whole[:length])
        got = []
        try:
            got += read_samples(cut)
        except TruncatedShard as error:
            assert f"after {sum(bool(s.key) for s in got)} complete samples" in str(error)
            kept.add(len(got))
        except ShardError:
            assert got == []
        *before, last = got or [Sample("", ())]
        whole_last = samples[max(0, len(got) - 1)]  # cut between two of its members, it is given as it is
        assert before == samples[: len(before)] and last.members == whole_last.members[: len(last.members)]
    assert {0, 1} <= kept


def collect(path):
    """What read_samples gave before it raised, and what it raised."""
    got = []
    try:
        for sample in read_samples(path):
            got.append(sample)
    except ShardError as error:
        return got, error
    return got, None


def test_truncation_names_the_sample_in_work(tmp_path):
    path = write(tmp_path / "0.tar", [three("a"), three("b"), three("c")])
    path.write_bytes(path.read_bytes()[: path.read_bytes().index(b"b.txt") + 600])
    got, error = collect(path)
    assert got == [three("a")]
    assert isinstance(error, TruncatedShard)
    assert "after 1 complete samples" in str(error) and "'b'" in str(error)


@pytest.mark.parametrize("damage", ["header", "hole", "no end mark"])
def test_damage_that_tarfile_takes_for_the_end(tmp_path, damage):
    path = write(tmp_path / "0.tar", [three("a"), three("b"), three("c")])
    data = bytearray(path.read_bytes())
    start = data.index(b"b.jpg")
    if damage == "header":
        data[start] ^= 1
    elif damage == "hole":
        data[start : start + 2048] = bytes(2048)
    else:
        del data[start:]
    path.write_bytes(data)
    got, error = collect(path)
    assert isinstance(error, TruncatedShard)
    assert got == ([three("a")] if damage in ("hole", "no end mark") else [])


def test_a_sample_is_complete_once_the_next_one_begins(tmp_path):
    path = write(tmp_path / "0.tar", [three("a"), three("b")])
    path.write_bytes(path.read_bytes()[: path.read_bytes().index(b"b.jpg") + 600])
    got, error = collect(path)
    assert got == [three("a")] and "'b' was in work" in str(error)


def test_gzip_checksum_is_checked(tmp_path):
    path = write(tmp_path / "0.tar.gz", [three("a")])
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    got, error = collect(path)
    assert got == [three("a")] and isinstance(error, TruncatedShard)


def test_gzip_in_several_parts(tmp_path):
    data = write(tmp_path / "0.tar", [three("a"), three("b")]).read_bytes()
    path = tmp_path / "1.tar.gz"
    path.write_bytes(gzip.compress(data[:3000], mtime=0) + gzip.compress(data[3000:]))
    assert list(read_samples(path)) == [three("a"), three("b")]


# --- members


def test_image_member():
    sample = Sample(
        "a", (Member("a.txt", b""), Member("a.seg.png", b""), Member("a.WEBP", b"w"), Member("a.jpg", b""))
    )
    assert image_member(sample) == Member("a.WEBP", b"w")
    assert image_member(Sample("a", sample.members[:2])) is None


def test_replace_members_keeps_names_and_order():
    sample = Sample("a", (Member("a.JPG", b"1"), Member("note", b"n"), Member("a.txt", b"2")))
    assert replace_members(sample, {"txt": b"3", "jpg": b"4"}).members == (
        Member("a.JPG", b"4"),
        Member("note", b"n"),
        Member("a.txt", b"3"),
    )
    with pytest.raises(ShardError, match="found webp"):
        replace_members(sample, {"webp": b""})


# --- writing


LONG = "long/" + "x" * 250 + ".jpg"
ODD_NAMES = [
    "é日本🐶.jpg",
    LONG,
    "d" * 90 + "/" + "n" * 90 + ".jpg",
    "\udcff\udcfe.jpg",
    "with space.jpg",
    "./a.jpg",
]


@pytest.mark.parametrize("file", ["0.tar", "0.tar.gz", "0.tgz"])
def test_write_read_write_is_bit_exact(tmp_path, file):
    samples = [Sample(split_name(n)[0], (Member(n, n.encode("utf-8", "surrogateescape")),)) for n in ODD_NAMES]
    first = write(tmp_path / file, samples)
    assert list(read_samples(first)) == samples
    (tmp_path / "again").mkdir()
    again = write(tmp_path / "again" / file, read_samples(first))
    assert again.read_bytes() == first.read_bytes()


def test_headers_are_plain(tmp_path):
    path = write(tmp_path / "0.tar", [Sample("a", (Member("a.jpg", b"1"),)), Sample("é", (Member("é.jpg", b"2"),))])
    with tarfile.open(path) as tar:
        infos = tar.getmembers()
    assert [(i.mtime, i.uid, i.gid, i.uname, i.gname, i.mode) for i in infos] == [(0, 0, 0, "", "", 0o644)] * 2
    assert [i.pax_headers for i in infos] == [{}, {"path": "é.jpg"}]
    with gzip.open(write(tmp_path / "0.tar.gz", read_samples(path))) as file:
        assert file.read() == path.read_bytes()
    head = (tmp_path / "0.tar.gz").read_bytes()[:10]
    assert head[3:8] == bytes(5), "neither a file name nor a time"


def test_data_shards_round_trip_bit_exactly(tmp_path):
    shards = sorted(FLICKR.glob("*.tar"))
    if not shards:
        pytest.skip("data: flickr8k-mini is not here")
    for shard in shards:
        assert write(tmp_path / shard.name, read_samples(shard)).read_bytes() == shard.read_bytes()


def test_nothing_has_the_final_name_before_commit(tmp_path):
    path = tmp_path / "0.tar"
    with ShardWriter(path) as writer:
        writer.write(three("a"))
        assert os.listdir(tmp_path) == ["0.tar.part"]
        writer.commit()
        assert os.listdir(tmp_path) == ["0.tar"]
    assert list(read_samples(path)) == [three("a")]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, None])
@pytest.mark.parametrize("name", ["0.tar", "0.tar.gz"])
def test_a_block_without_commit_leaves_what_was_there(tmp_path, name, error):
    old = write(tmp_path / name, [three("old")])
    before = old.read_bytes()

    def run():
        with ShardWriter(old) as writer:
            writer.write(three("new"))
            if error:
                raise error

    if error:
        with pytest.raises(error):
            run()
    else:
        run()
    assert os.listdir(tmp_path) == [name] and old.read_bytes() == before


class FullDisk(io.FileIO):
    def write(self, data):
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("name", ["0.tar", "0.tar.gz"])
def test_full_disk_leaves_nothing(tmp_path, monkeypatch, name):
    def full(path, mode):
        return io.BufferedWriter(FullDisk(path, "w"))

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(OSError, match="No space"), ShardWriter(tmp_path / name) as writer:
        for i in range(100):
            writer.write(Sample(f"{i}", (Member(f"{i}.jpg", os.urandom(5000)),)))
        writer.commit()
    assert os.listdir(tmp_path) == []


# --- files of a sample apart


def test_files_of_a_sample_that_lie_apart_are_brought_together(tmp_path, make_tar):
    pictures = [(f"{key}.jpg", b"picture of " + key.encode()) for key in "abc"]
    texts = [(f"{key}.txt", b"text of " + key.encode()) for key in "cab"]
    path = make_tar(tmp_path / "x.tar", [pictures[0], ("README", b"hello"), *pictures[1:], *texts])
    assert is_interleaved(path)
    samples = [(s.key, [m.name for m in s.members]) for s in read_samples(path)]
    assert samples == [
        ("a", ["a.jpg", "a.txt"]),
        ("", ["README"]),
        ("b", ["b.jpg", "b.txt"]),
        ("c", ["c.jpg", "c.txt"]),
    ]


def test_a_second_sample_of_a_key_stays_one_when_sorted(tmp_path, make_tar):
    names = ["a.jpg", "b.jpg", "a.txt", "b.txt", "a.jpg", "a.txt"]
    path = make_tar(tmp_path / "x.tar", [(name, str(n).encode()) for n, name in enumerate(names)])
    found = [(s.key, [m.data for m in s.members]) for s in read_samples(path)]
    assert found == [("a", [b"0", b"2"]), ("a", [b"4", b"5"]), ("b", [b"1", b"3"])]


def test_a_tar_in_order_is_not_sorted(tmp_path, make_tar):
    members = [(f"{key}.{e}", b"x") for key in "ba" for e in ("jpg", "txt")]
    assert not is_interleaved(make_tar(tmp_path / "x.tar", [*members, ("b.jpg", b"again")]))


def test_one_that_is_too_large_to_sort_says_so(tmp_path, make_tar, monkeypatch):
    path = make_tar(tmp_path / "x.tar", [("a.jpg", b"1"), ("b.jpg", b"2"), ("a.txt", b"3")])
    monkeypatch.setattr(os, "sysconf", lambda name: 1)
    with pytest.raises(ShardError, match=r"found them apart in a shard too large to sort .* tar --sort=name"):
        list(read_samples(path))


def test_an_unsorted_tar_that_breaks_off_gives_all_that_is_whole(tmp_path, make_tar):
    members = [("a.jpg", b"1" * 600), ("b.jpg", b"2" * 600), ("a.txt", b"3"), ("b.txt", b"4" * 600)]
    path = make_tar(tmp_path / "x.tar", members)
    path.write_bytes(path.read_bytes()[: 4 * 512 + 3 * 1024 - 100])
    samples = []
    with pytest.raises(TruncatedShard):
        for sample in read_samples(path):
            samples.append(sample)
    assert [[m.name for m in s.members] for s in samples] == [["a.jpg", "a.txt"], ["b.jpg"]]


# --- archives that are not read


def test_packed_archives_beside_shards_are_named(tmp_path, make_tar):
    (tmp_path / "d" / ".cache").mkdir(parents=True)
    make_tar(tmp_path / "d" / "a.tar", [("a.jpg", b"1")])
    for name in ("b.tar.zst", "c.TAR.XZ", "e.txz", "f.zip", "note.txt", ".cache/g.zip"):
        (tmp_path / "d" / name).write_bytes(b"x")
    assert packed_beside([str(tmp_path / "d")]) == ("b.tar.zst", "c.TAR.XZ", "e.txz", "f.zip")
    assert packed_beside([str(tmp_path / "d" / "a.tar")]) == ()


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (b"BZh9", "packed by bzip2; unpack it first"),
        (b"\x28\xb5\x2f\xfd", "by zstd"),
        (b"PK\x03\x04", "a zip archive"),
    ],
)
def test_packed_tars_by_another_name(tmp_path, head, found):
    (tmp_path / "x.tar").write_bytes(head + bytes(2000))
    with pytest.raises(ShardError, match=found):
        list(read_samples(tmp_path / "x.tar"))
