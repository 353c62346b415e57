"""Object storage: what a text means, whole files or none, and each thing that goes wrong in one line."""

import hashlib
import os
import sys
from importlib import import_module

import pytest

from protect.data import storage
from protect.data.scratch import at_hand, fetch
from protect.data.shard_list import ShardError, name_shards
from protect.data.storage import BLOCK, Remote, place, refuse_unknown
from protect.data.storage_errors import StorageError, Transient, reaching


@pytest.fixture
def memory():
    """A folder in the memory of this process, empty."""
    import fsspec

    fsspec.filesystem("memory").store.clear()
    return place("memory://set")


def test_a_text_is_a_path_or_an_address(tmp_path):
    assert place(str(tmp_path)) == tmp_path == place(f"file://{tmp_path}")
    remote = place("S3://bucket/folder/")
    assert isinstance(remote, Remote) and str(remote) == "s3://bucket/folder"
    shard = remote / "a/00000.tar"
    assert (shard.name, str(shard.parent), str(shard.with_name("x"))) == (
        "00000.tar",
        "s3://bucket/folder/a",
        "s3://bucket/folder/a/x",
    )
    with pytest.raises(TypeError):
        os.fspath(remote)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("s3:///folder", "expected s3://BUCKET/FOLDER, found no bucket; name one"),
        ("s3://me:hunter2@bucket/x", "expected an address without a password"),
    ],
)
def test_addresses_that_cannot_be_used(text, message):
    with pytest.raises(StorageError, match=message) as raised:
        place(text)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("text", ["ftp://host/in", "hf://datasets/x", "pipe:cat x", "https://host/0.tar"])
def test_addresses_that_no_driver_reads(text):
    with pytest.raises(StorageError, match=rf"^IN: expected a path, s3://, gs:// or az://, got the address {text}; "):
        refuse_unknown("IN", text)


@pytest.mark.parametrize(
    ("text", "module"),
    [("gs://b/x", "gcsfs"), ("az://b/x", "adlfs"), ("s3://b/x", "s3fs")],
)
def test_a_missing_driver_is_told_with_the_command_that_installs_it(monkeypatch, text, module):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(import_module("fsspec.registry")._registry, text.partition(":")[0], raising=False)
    with pytest.raises(ImportError, match=rf"expected {module}, not all found; pip install '{module}"):
        place(text).exists()


def test_files_are_listed_read_and_removed(memory):
    (memory / "b/1.txt").write_bytes(b"one")
    (memory / "a.txt").write_bytes(b"zero")
    assert [(str(file), file.size) for file in memory.files()] == [
        ("memory://set/a.txt", 4),
        ("memory://set/b/1.txt", 3),
    ]
    file = memory / "a.txt"
    assert file.read_bytes() == b"zero" and file.read_bytes(2) == b"ze"
    assert file.is_file() and memory.is_dir() and not memory.is_file() and not file.is_dir()
    with pytest.raises(FileExistsError):
        file.write_bytes(b"other", mode="create")
    file.unlink()
    file.unlink()
    assert not file.exists()


def test_a_copy_at_hand_goes_afterwards(memory, tmp_path):
    (memory / "0.tar").write_bytes(b"x" * 9)
    (memory / "0.parquet").write_bytes(b"y")
    with at_hand(memory / "0.tar", ("0.parquet", "none.json")) as path:
        assert path.read_bytes() == b"x" * 9 and path.name == "0.tar"
        assert sorted(file.name for file in path.parent.iterdir()) == ["0.parquet", "0.tar"]
    assert not path.parent.exists()
    assert fetch(memory / "0.tar", tmp_path / "copy") == hashlib.sha256(b"x" * 9).hexdigest()
    with at_hand(tmp_path / "copy") as path:
        assert path == tmp_path / "copy"


def test_shards_of_a_remote_folder(memory):
    for name in ("00000.tar", "a/00001.tar.gz", "_protect/x.tar", ".hidden/x.tar", "notes.txt"):
        (memory / name).write_bytes(b"")
    assert [(str(shard), name) for shard, name in name_shards(["memory://set"]).items()] == [
        ("memory://set/00000.tar", "00000.tar"),
        ("memory://set/a/00001.tar.gz", "a/00001.tar.gz"),
    ]
    (shard,) = name_shards(["memory://set/{00000..00000}.tar"])
    assert str(shard) == "memory://set/00000.tar"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("memory://nothing", "found nothing of that name"),
        ("memory://set/texts", "found none but x.tar.zst; unpack it first"),
        ("memory://set/texts/notes.txt", "expected a name ending in .tar"),
    ],
)
def test_remote_folders_without_shards(memory, source, message):
    (memory / "texts/notes.txt").write_bytes(b"")
    (memory / "texts/x.tar.zst").write_bytes(b"")
    with pytest.raises(ShardError, match=message):
        name_shards([source])


@pytest.mark.parametrize(
    ("error", "expected", "message"),
    [
        (
            type("NoCredentialsError", (Exception,), {})("none"),
            StorageError,
            "expected credentials, found none; set AWS",
        ),
        (PermissionError("Access Denied"), StorageError, r"refused \(Access Denied\); check the rights"),
        (OSError("Please reduce your request rate"), Transient, "reduce your request rate"),
        (type("HTTPClientError", (Exception,), {})("reset"), Transient, "reset"),
        (TimeoutError(), Transient, "TimeoutError"),
        (FileNotFoundError("x"), FileNotFoundError, "x"),
        (ZeroDivisionError("a bug"), ZeroDivisionError, "a bug"),
    ],
    ids=lambda value: getattr(value, "__name__", None) or type(value).__name__,
)
def test_what_drivers_raise_is_told_apart(error, expected, message):
    with pytest.raises(expected, match=message), reaching("s3://b/x"):
        raise error


def test_no_secret_is_told(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    with pytest.raises(Transient) as raised, reaching("s3://b/x"):
        raise OSError("signed with hunter2 in vain")
    assert str(raised.value) == "s3://b/x: signed with $AWS_SECRET_ACCESS_KEY in vain"


# --- S3


def test_an_upload_of_many_blocks_is_there_whole_or_not_at_all(bucket, tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "BLOCK", 5 << 20)  # the least that S3 takes
    data = os.urandom(1 << 20) * 12
    (tmp_path / "big").write_bytes(data)
    target = place(f"s3://{bucket.name}/big")
    target.upload(tmp_path / "big")
    assert b"".join(target.blocks()) == data and BLOCK > 5 << 20

    half = place(f"s3://{bucket.name}/half")
    bucket.fail(after=2, count=99, only="PUT")
    with pytest.raises(Transient, match=r"s3://.*/half"):
        half.upload(tmp_path / "big")
    bucket.heal()
    assert not half.exists()
    assert bucket.uploads() == []
    half.upload(tmp_path / "big")
    assert half.read_bytes() == data


def test_first_writer_wins_in_s3(bucket):
    file = place(f"s3://{bucket.name}/marker")
    file.write_bytes(b"first", mode="create")
    with pytest.raises(FileExistsError):
        file.write_bytes(b"second", mode="create")
    assert file.read_bytes() == b"first"


def test_errors_of_s3(bucket, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    import fsspec

    fsspec.get_filesystem_class("s3").clear_instance_cache()
    with pytest.raises(StorageError, match="expected credentials, found none; set AWS_ACCESS_KEY_ID"):
        place(f"s3://{bucket.name}/x").exists()
