import struct
import zlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from protect.data.captions import rewrite_captions
from protect.data.shard_writer import ShardWriter
from protect.data.shards import read_samples
from protect.publish.leaks import Leak, Originals
from protect.publish.leaks import scan_parquet as parquet_leaks
from protect.publish.leaks import scan_shard as shard_leaks
from protect.settings.publish import PublishSettings

KEYS = PublishSettings().caption_keys
CLEAN = {"a": ("A dog", "Ein Hund läuft"), "b": ("A cat",)}
XMP = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta/>"


def originals(clean=CLEAN):
    found = Originals(KEYS)
    for key, captions in clean.items():
        found.add(key, captions, [f"red {caption}" for caption in captions])
    return found


def scan_shard(path):
    return shard_leaks(path, originals())


def scan_parquet(path):
    return parquet_leaks(path, originals())


def exif(*tags):
    """An EXIF block whose second directory holds these tags; without tags there is none."""
    second = 8 + 2 + 12 + 4
    first = struct.pack("<HHHIHHI", 1, 0x0112, 3, 1, 1, 0, second if tags else 0)
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, 0) for tag in tags)
    return b"Exif\0\0II*\0" + struct.pack("<I", 8) + first + struct.pack("<H", len(tags)) + entries


def jpeg_with(photo, marker, body):
    return photo[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body + photo[2:]


def png_with(photo, tag, body):
    chunk = struct.pack(">I", len(body)) + tag + body + struct.pack(">I", zlib.crc32(tag + body))
    return photo[:33] + chunk + photo[33:]


def webp_with(photo, tag, body):
    content = photo[8:] + tag + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)
    return b"RIFF" + struct.pack("<I", len(content)) + content


@pytest.fixture
def kinds(tmp_path, make_shard):
    """kinds(members): (kind, detail) of every leak of a shard with the one sample "a"."""

    def scan(members):
        path = make_shard(tmp_path / "00000.tar", {"a": members})
        leaks = list(scan_shard(path))
        assert all(leak.shard == "00000.tar" and leak.key == "a" for leak in leaks)
        return [(leak.kind, leak.detail) for leak in leaks]

    return scan


# --- text


@pytest.mark.parametrize("text", ["A dog", "\ufeffred\r\n a  DOG\t\r\n", "EIN HUND LÄUFT"])
def test_clean_text_leaks(kinds, text):
    assert kinds({"txt": text}) == [("caption", "a.txt: a clean caption")]
    assert kinds({"en.txt": text}) == [("caption", "a.en.txt: a clean caption")]


def test_protected_and_foreign_text_does_not_leak(kinds):
    assert kinds({"txt": "red blue A dog\n\n", "json": {"caption": "red A dog", "note": "A cat", "n": 3}}) == []


def test_clean_json_leaks_at_any_depth(kinds):
    fields = {
        "caption": "a dog",
        "captions": ["red Ein Hund läuft", "A dog"],
        "meta": [{"title": "A dog"}],
        "exif": '{"Image ImageDescription": "a dog", "deeper": "[\\"A dog\\"]"}',
    }
    assert kinds({"json": fields}) == [
        ("caption", "a.json: a clean caption in caption"),
        ("caption", "a.json: a clean caption in captions"),
        ("caption", "a.json: a clean caption in meta.title"),
        ("caption", "a.json: a clean caption in exif.Image ImageDescription"),
        ("caption", "a.json: a clean caption in exif.deeper"),
    ]


def test_links_leak_unless_null(kinds):
    fields = {
        "url": "http://x",
        "sha256": None,
        "original_url": ["http://y"],
        "inner": {"md5": "0"},
        "uid": "1",
    }
    assert kinds({"json": fields}) == [
        ("link", "a.json: field url"),
        ("link", "a.json: field original_url"),
        ("link", "a.json: field md5 in inner.md5"),
        ("link", "a.json: field uid"),
    ]


@pytest.mark.parametrize("member", [{"txt": b"\xff\xfe"}, {"json": b"{"}, {"json": b"\xff"}, {"json": b"[" * 99_999}])
def test_text_that_cannot_be_read_never_raises(kinds, member):
    assert kinds(member) == []


def test_nothing_leaks_after_rewriting(tmp_path, make_shard):
    fields = {
        "caption": "A dog",
        "captions": list(CLEAN["a"]),
        "url": "http://x",
        "exif": '{"d": "a dog"}',
        "t": ["A DOG"],
    }
    path = make_shard(tmp_path / "0.tar", {"a": {"json": fields, "txt": "A dog\nEin Hund läuft"}})
    assert {leak.kind for leak in scan_shard(path)} == {"caption", "link"}
    with ShardWriter(tmp_path / "1.tar") as writer:
        for sample in read_samples(path):
            writer.write(rewrite_captions(sample, "red {}".format, PublishSettings(urls="strip")))
        writer.commit()
    assert list(scan_shard(tmp_path / "1.tar")) == []


# --- pictures


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"exif": exif()}, {"icc_profile": b"p" * 70_000}])
def test_a_plain_jpeg_does_not_leak(kinds, photo_bytes, options):
    assert kinds({"jpg": photo_bytes("JPEG", **options)}) == []
    assert kinds({"jpeg": photo_bytes("JPEG", "L", restart_marker_rows=1)}) == []


@pytest.mark.parametrize("format", ["PNG", "WEBP"])
def test_plain_png_and_webp_do_not_leak(kinds, photo_bytes, format):
    assert kinds({format.lower(): photo_bytes(format, "RGBA", exif=exif())}) == []
    assert kinds({format.lower(): photo_bytes(format, "RGB", size=(33, 17), lossless=True)}) == []


@pytest.mark.parametrize(
    ("marker", "body", "kind"),
    [
        (0xE1, exif(0x0103, 0x0201), "thumbnail"),
        (0xE1, exif(0x0111), "thumbnail"),
        (0xE0, b"JFIF\0\1\1\0\0\1\0\1\1\1abc", "thumbnail"),
        (0xE0, b"JFXX\0\x10", "thumbnail"),
        (0xE1, XMP, "xmp"),
        (0xE1, b"http://ns.adobe.com/xmp/extension/\0", "xmp"),
        (0xED, b"Photoshop 3.0\x008BIM", "xmp"),
        (0xE2, b"MPF\0II*\0", "extra picture"),
        (0xEB, b"JP\0\1", "extra picture"),
        (0xFE, b"a DOG", "caption"),
        (0xE1, exif() + b"A dog\0", "caption"),
    ],
)
def test_jpeg_leaks(kinds, photo_bytes, marker, body, kind):
    assert [k for k, _ in kinds({"jpg": jpeg_with(photo_bytes(), marker, body)})] == [kind]


@pytest.mark.parametrize(
    ("tag", "body", "kind"),
    [
        (b"eXIf", exif(0x0201)[6:], "thumbnail"),
        (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x/>", "xmp"),
        (b"zTXt", b"Raw profile type iptc\0\0", "xmp"),
        (b"tEXt", b"Description\0A dog", "caption"),
        (b"caBX", b"box", "extra picture"),
    ],
)
def test_png_leaks(kinds, photo_bytes, tag, body, kind):
    assert [k for k, _ in kinds({"png": png_with(photo_bytes("PNG"), tag, body)})] == [kind]


@pytest.mark.parametrize(
    ("tag", "body", "kind"), [(b"EXIF", exif(0x0201)[6:], "thumbnail"), (b"XMP ", b"<x/>", "xmp")]
)
def test_webp_leaks(kinds, photo_bytes, tag, body, kind):
    assert [k for k, _ in kinds({"webp": webp_with(photo_bytes("WEBP"), tag, body)})] == [kind]


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_a_picture_behind_the_picture_leaks(kinds, photo_bytes, format):
    photo = photo_bytes(format)
    extension = "jpg" if format == "JPEG" else format.lower()
    found = kinds({extension: photo + photo})
    assert found == [("extra picture", f"a.{extension}: {len(photo)} bytes behind the end of the picture")]
    assert kinds({extension: photo + bytes(9)}) == []


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_truncated_pictures_are_unreadable_and_never_raise(kinds, photo_bytes, format):
    photo = photo_bytes(format, exif=exif(0x0201))
    for length in range(0, len(photo) - 2, len(photo) // 40):
        found = kinds({"jpg": photo[:length]})
        assert found[-1][0] == "unreadable", length


def test_damaged_pictures_never_raise(kinds, photo_bytes):
    photo = photo_bytes("JPEG", exif=exif(0x0201))
    for at in range(2, 120):
        for value in (0, 0xFF):
            kinds({"jpg": photo[:at] + bytes([value]) + photo[at + 1 :]})
    assert [kind for kind, _ in kinds({"webp": b"GIF89a"})] == ["unreadable"]
    png = bytearray(photo_bytes("PNG"))
    png[60] ^= 1
    assert [kind for kind, _ in kinds({"png": bytes(png)})] == ["unreadable"]


# --- files


def test_a_damaged_shard_is_a_leak_of_its_own(tmp_path, make_shard):
    path = make_shard(tmp_path / "0.tar", {"a": {"txt": "A dog"}, "b": {"txt": "x" * 2000}})
    path.write_bytes(path.read_bytes()[:2000])
    leaks = list(scan_shard(path))
    assert [(leak.key, leak.kind) for leak in leaks] == [("a", "caption"), ("", "unreadable")]


def test_members_of_no_sample_are_scanned_for_captions_of_all_samples(tmp_path, make_tar):
    path = make_tar(tmp_path / "0.tar", [("__meta__", b"A dog"), ("LICENSE", b"Copying\nein hund l\xc3\xa4uft\n")])
    found = [(leak.key, leak.kind, leak.detail) for leak in scan_shard(path)]
    assert found == [("LICENSE", "caption", "LICENSE: a clean caption of a")]


def test_parquet_leaks(tmp_path):
    path = tmp_path / "00000.parquet"
    columns = {
        "key": ["a", "b", "c"],
        "caption": ["red A dog", "a CAT", "A dog"],
        "captions": [["x", "A dog"], None, []],
        "alt": [None, b"A cat", b""],
        "exif": ['{"d": "ein hund läuft"}', None, "{}"],
        "url": [None, "http://b", None],
        "md5": pa.nulls(3),
        "width": [1, 2, 3],
    }
    pq.write_table(pa.table(columns), path)
    assert sorted(scan_parquet(path), key=lambda leak: leak.key) == [
        Leak("00000.parquet", "", "link", "column url"),
        Leak("00000.parquet", "a", "caption", "a clean caption in column captions"),
        Leak("00000.parquet", "a", "caption", "a clean caption in column exif.d"),
        Leak("00000.parquet", "b", "caption", "a clean caption in column caption"),
        Leak("00000.parquet", "b", "caption", "a clean caption in column alt"),
    ]


def test_parquet_that_cannot_be_checked(tmp_path):
    path = tmp_path / "0.parquet"
    pq.write_table(pa.table({"caption": ["A dog"]}), path)
    assert [leak.kind for leak in scan_parquet(path)] == ["unreadable"]
    whole = path.read_bytes()
    for data in (b"", b"nothing", whole[:-9], whole[:-100] + bytes(92) + whole[-8:]):
        path.write_bytes(data)
        assert [leak.kind for leak in scan_parquet(path)] == ["unreadable"]
    with pytest.raises(FileNotFoundError):
        list(scan_parquet(tmp_path / "missing.parquet"))
