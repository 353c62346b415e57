"""A folder of photos as a whole: what is written, what a second run does, and what no file gives away."""

import io
import json
import os
import shutil
import signal
import stat
import struct
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from protect.data.metadata.iptc import jpeg_segment, write_iptc
from protect.data.metadata.xmp import write_xmp
from protect.data.photo_files import read_still
from protect.data.photo_folder import walk
from protect.data.photo_samples import is_photo_folder, photo_samples, read_photo
from protect.data.prepared import Failure, Prepared
from protect.files import PlanError, write_whole
from protect.jobs.fit import fit_on_photos
from protect.jobs.photos.job import make_job
from protect.jobs.photos.key import EPSILON, key_protector, own_key, own_words
from protect.jobs.photos.leaks import scan_photos
from protect.jobs.photos.photo import protect_photo
from protect.jobs.photos.records import PhotoRecord, append_record, read_records, records_path, write_records
from protect.jobs.photos.run import protect_photos
from protect.jobs.photos.summary import estimate, size_text, status_line, summary
from protect.methods.instant_settings import ATTRIBUTE_WORDS
from protect.methods.mem_settings import MemSettings
from protect.methods.parts.keywords import Vocabulary
from protect.methods.parts.phrases import natural
from protect.methods.protector import Protector
from protect.methods.recipe import Recipe
from protect.publish.photo_noise import visible_change
from protect.settings.publish import STRENGTHS, PhotoSettings
from protect.settings.recipe import FitSettings, NoiseSettings

CLEAN = "a clean caption of a harbour"
EXIFTOOL = pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
SEED = PhotoSettings(seed=7)


def full_jpeg(photo_bytes, seed=0):
    """A JPEG with its caption everywhere, GPS, serial numbers, a thumbnail and a movie behind it."""
    exif = Image.Exif()
    exif.update({0x010E: CLEAN, 0x0112: 6, 0x9C9B: CLEAN.encode("utf-16-le")})
    exif.get_ifd(0x8769).update({0x9286: b"ASCII\0\0\0" + CLEAN.encode(), 0xA431: "SERIAL123"})
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 8.0, 0.0)})
    packet = write_xmp(("dc:description", "dc:title"), CLEAN, {"dc:creator": ("Ann",)}, False)
    packet = packet.replace(b"urn:protect-pairs", b"urn:other").replace(
        b"<?xpacket end", b"<!--MotionPhoto--><?xpacket end"
    )
    extra = jpeg_segment(write_iptc({(2, 120): (CLEAN,)}))
    data = photo_bytes(
        size=(96, 72), seed=seed, exif=exif, xmp=packet, extra=extra, comment=CLEAN.encode(), quality=92
    )
    return data + b"\0\0\0\x18ftypmp42" + b"movie" * 50


@pytest.fixture(scope="module")
def source(tmp_path_factory, photo_bytes):
    """A small folder with a photo of every kind."""
    root = tmp_path_factory.mktemp("photos") / "in"
    (root / "2024 Summer in Rome").mkdir(parents=True)
    files = {
        "full.jpg": full_jpeg(photo_bytes),
        "2024 Summer in Rome/plain.jpg": photo_bytes(size=(80, 60), seed=1),
        "2024 Summer in Rome/deep.png": photo_bytes("PNG", "I;16", seed=2),
        "grey.png": photo_bytes("PNG", "L", seed=3),
        "wrong name.jpg": photo_bytes("PNG", "RGBA", seed=4),
        "t.tif": photo_bytes("TIFF", seed=5, tiffinfo={0x010E: CLEAN}, compression="tiff_lzw"),
        "w.webp": photo_bytes("WEBP", seed=6),
        "a.avif": photo_bytes("AVIF", seed=7, quality=90),
        "side.jpg": photo_bytes(seed=8),
        "side.txt": CLEAN.encode(),
        "listed.jpg": photo_bytes(seed=9),
        "captions.csv": f"file,caption\nlisted.jpg,{CLEAN}\n".encode(),
        "empty.jpg": b"",
        "cut.jpg": photo_bytes(seed=10)[:400],
        "moving.gif": b"GIF89a",
        "clip.mov": b"\0\0\0\x14ftypqt  ",
    }
    for name, data in files.items():
        (root / name).write_bytes(data)
    return root


@pytest.fixture(scope="module")
def done(source, tmp_path_factory):
    """(OUT, records) of one run over `source`."""
    out = tmp_path_factory.mktemp("photos") / "out"
    return out, protect_photos(make_job(source, out, SEED))


def commented(data):
    """A JPEG with the clean caption as its comment."""
    return data[:2] + b"\xff\xfe\0" + bytes([len(CLEAN) + 2]) + CLEAN.encode() + data[2:]


def noise_of(protector, image, caption):
    """Noise, words and size of the middle, as a photo of this caption gets them."""
    picture = SimpleNamespace(kind="PNG", image=image, lossless=True)
    [perturbation] = protector.perturb([protector.look(Prepared(None, (caption,), picture))])
    return perturbation()


def run(source, out, settings=SEED, **options):
    """(records, names that were protected anew)."""
    fresh = []
    records = protect_photos(
        make_job(source, out, settings, **options),
        lambda record, new: fresh.append(record.name) if new and record.status == "protected" else None,
    )
    return records, fresh


def changed_files(out):
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file() and "_protect" not in path.parts and path.name != "gallery.html"
    }


# --- what is written


def test_every_photo_is_there_under_its_name_and_nothing_else(source, done):
    out, records = done
    photos = {"full.jpg", "2024 Summer in Rome/plain.jpg", "2024 Summer in Rome/deep.png", "grey.png",
              "wrong name.jpg", "t.tif", "w.webp", "a.avif", "side.jpg", "listed.jpg"}  # fmt: skip
    assert set(changed_files(out)) == photos | {"side.txt", "captions.csv"}
    status = {name: record.status for name, record in records.items()}
    assert {name for name in status if status[name] == "protected"} == photos
    assert {name for name in status if status[name] == "failed"} == {"empty.jpg", "cut.jpg"}
    assert {name for name in status if status[name] == "skipped"} == {
        "side.txt",
        "captions.csv",
        "moving.gif",
        "clip.mov",
    }
    assert read_records(out) == dict(sorted(records.items()))


def test_kind_size_and_figures_of_each_photo(source, done):
    out, records = done
    for name, record in records.items():
        if record.status == "protected":
            before, after = read_still(source / name, 10**7), read_still(out / name, 10**7)
            assert (before.kind, before.image.mode, before.image.size) == (
                after.kind,
                after.image.mode,
                after.image.size,
            )
            assert (record.width, record.height) == after.image.size
            assert record.written == (out / name).stat().st_size
            assert record.ssim >= 0.88 and 0 < record.epsilon <= 8 and record.seconds > 0
            if before.lossless:
                assert record.linf <= record.epsilon


def test_the_noise_is_the_protectors(source, done, bring_back):
    """What the attacker's view of the written photo differs by goes along with the noise of the photo's words."""
    out, records = done
    image, record = Image.open(source / "grey.png"), records["grey.png"]
    noise, words, size = noise_of(key_protector(7), image, "")
    assert record.caption == natural("", words, "natural-en")
    before, after = (np.asarray(Image.open(folder / "grey.png"), np.float32) for folder in (source, out))
    seen = bring_back((after - before)[..., None], size)
    edge = (noise.shape[-1] - size) // 2
    luma = np.tensordot([0.299, 0.587, 0.114], noise[:, edge : edge + size, edge : edge + size], 1)
    assert size == min(image.size) and np.corrcoef(seen.ravel(), luma.ravel())[0, 1] > 0.5


def test_originals_are_untouched(source, done, photo_bytes):
    assert (source / "full.jpg").read_bytes() == full_jpeg(photo_bytes)
    assert not list(source.rglob("*.part"))


def test_captions_go_back_where_they_stood(done):
    out, records = done
    full = records["full.jpg"]
    assert full.caption.endswith(" " + CLEAN) and (full.caption_before, full.caption_from) == (CLEAN, "xmp")
    places = read_still(out / "full.jpg", 10**7).metadata.captions
    assert set(places.values()) == {full.caption} and {place[:4] for place in places} == {"xmp:", "iptc", "exif"}
    assert (out / "side.txt").read_text() == records["side.jpg"].caption + "\n"
    assert records["listed.jpg"].caption_from == "csv" and records["t.tif"].caption_from == "exif"
    album = records["2024 Summer in Rome/plain.jpg"]
    assert album.caption.endswith(" Summer in Rome") and album.suggested and album.caption_from == "folder"
    assert len(records["grey.png"].caption.split(", ")) == ATTRIBUTE_WORDS and records["grey.png"].suggested
    assert read_still(out / "grey.png", 10**7).metadata.captions == {}


def test_captions_stay_as_they_were_where_no_words_are_asked_for(source, tmp_path):
    records = protect_photos(make_job(source, tmp_path / "out", PhotoSettings(seed=7, trigger_words=0)))
    assert {records[name].caption for name in ("full.jpg", "side.jpg", "listed.jpg", "t.tif")} == {CLEAN}
    assert (tmp_path / "out/side.txt").read_text().strip() == CLEAN
    assert len(records["grey.png"].caption.split(", ")) == ATTRIBUTE_WORDS and records["grey.png"].suggested
    assert list(scan_photos(tmp_path / "out")) == []


def test_what_was_left_out_is_said(done):
    records = done[1]
    assert "movie of the motion photo removed" in records["full.jpg"].reason
    assert "empty file" in records["empty.jpg"].reason and "damage" in records["cut.jpg"].reason


def test_private_files_are_their_owners_alone(done):
    private = done[0] / "_protect" / "private"
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    assert stat.S_IMODE(records_path(done[0]).stat().st_mode) == 0o600


# --- what nothing gives away


def test_no_file_leaks(done):
    assert list(scan_photos(done[0])) == []


@pytest.mark.parametrize(
    ("name", "spoil", "kind"),
    [
        ("full.jpg", lambda data: data + b"tail", "extra picture"),
        ("full.jpg", commented, "caption"),
        ("w.webp", lambda data: data[:-8], "unreadable"),
        ("side.txt", lambda data: CLEAN.encode(), "caption"),
        ("t.tif", lambda data: data + CLEAN.encode("utf-16-le"), "caption"),
        ("t.tif", lambda data: data[:100], "unreadable"),
        ("captions.csv", lambda data: data.replace(b"listed.jpg,", b"listed.jpg,x"), "caption"),
    ],
)  # fmt: skip
def test_a_leak_is_found(done, tmp_path, name, spoil, kind):
    out = shutil.copytree(done[0], tmp_path / "out")
    (out / name).write_bytes(spoil((out / name).read_bytes()))
    assert kind in {leak.kind for leak in scan_photos(out)}


def test_a_foreign_photo_in_out_is_found(done, tmp_path, source):
    out = shutil.copytree(done[0], tmp_path / "out")
    shutil.copy(source / "grey.png", out / "foreign.png")
    assert [(leak.shard, leak.kind) for leak in scan_photos(out)] == [("foreign.png", "extra picture")]


@EXIFTOOL
def test_exiftool_finds_nothing_of_the_original(done):
    command = ["exiftool", "-r", "-a", "-u", "-U", "-G1", "-j", "-b", "-ee3", "-x", "Directory", str(done[0])]
    found = json.loads(subprocess.run(command, capture_output=True, check=False).stdout)
    assert len(found) >= 10
    for tags in found:
        for tag, value in tags.items():
            where = f"{tags['SourceFile']} {tag}: {value}"
            assert str(value).strip() != CLEAN, where
            assert "GPS" not in tag and "Serial" not in tag and "SERIAL123" not in str(value), where
            assert not any(word in tag for word in ("Thumbnail", "PreviewImage", "MotionPhoto", "Trailer")), where
            assert "Orientation" not in tag or value in (1, "Horizontal (normal)"), where


# --- the next run


def test_a_second_run_does_nothing(source, done, tmp_path):
    out = shutil.copytree(done[0], tmp_path / "out")
    before = changed_files(out)
    records, fresh = run(source, out)
    assert fresh == [] and records == done[1] and changed_files(out) == before


def test_a_run_of_the_same_seed_writes_the_same_bytes(source, done, tmp_path):
    run(source, tmp_path / "out")
    assert changed_files(tmp_path / "out") == changed_files(done[0])


@pytest.fixture
def small(tmp_path, photo_bytes):
    """A folder of three photos to be changed, and its protected copy."""
    root, out = tmp_path / "in", tmp_path / "out"
    root.mkdir()
    for number, name in enumerate(("a.jpg", "b.jpg", "c.jpg")):
        (root / name).write_bytes(photo_bytes(seed=number))
    (root / "a.txt").write_text("first caption")
    run(root, out)
    return root, out


def test_only_what_is_new_or_changed_is_done(small, photo_bytes):
    root, out = small
    (root / "d.jpg").write_bytes(photo_bytes(seed=4))
    (root / "b.jpg").write_bytes(photo_bytes(seed=5))
    os.utime(root / "c.jpg", (1, 1))
    (root / "a.txt").write_text("other caption")
    assert run(root, out)[1] == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    (out / "a.jpg").write_bytes(b"short")
    (out / "b.jpg").unlink()
    assert run(root, out)[1] == ["a.jpg", "b.jpg"]
    assert run(root, out)[1] == []
    assert run(root, out, PhotoSettings(seed=7, strength="subtle"))[1] == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    assert run(root, out, PhotoSettings(seed=8, strength="subtle"))[1] == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]


def test_a_photo_that_is_no_more_one_leaves_out(small):
    root, out = small
    (root / "b.jpg").write_bytes(b"damaged")
    records, _ = run(root, out)
    assert records["b.jpg"].status == "failed" and not (out / "b.jpg").exists()
    assert "b.jpg" not in (out / "captions.csv").read_text()


def test_protected_photos_are_recognised_and_left(small, tmp_path):
    root, out = small
    shutil.copytree(out, tmp_path / "other", ignore=shutil.ignore_patterns("_protect"))
    records, fresh = run(tmp_path / "other", tmp_path / "out2")
    assert fresh == [] and {records[name].reason for name in ("a.jpg", "b.jpg", "c.jpg")} == {
        "protected already by this tool"
    }
    assert not (tmp_path / "out2" / "a.jpg").exists()
    shutil.copy(out / "b.jpg", root / "b.jpg")  # the protected copy moved over its original
    kept = (out / "b.jpg").read_bytes()
    records, fresh = run(root, out)
    assert fresh == [] and records["b.jpg"].status == "protected" and (out / "b.jpg").read_bytes() == kept


def test_copies_of_a_photo_get_the_same_noise_and_words(small, tmp_path):
    root, out = small
    (root / "album").mkdir()
    shutil.copy(root / "b.jpg", root / "album" / "copy.jpg")
    run(root, out)
    assert (out / "b.jpg").read_bytes() == (out / "album" / "copy.jpg").read_bytes()


def test_interrupted_it_keeps_what_is_done_and_goes_on(tmp_path, photo_bytes):
    root, out = tmp_path / "in", tmp_path / "out"
    root.mkdir()
    for number in range(4):
        (root / f"{number}.jpg").write_bytes(photo_bytes(seed=number))

    def stop(record, fresh):
        if record.name == "1.jpg":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        protect_photos(make_job(root, out, SEED), stop)
    assert list(read_records(out)) == ["0.jpg", "1.jpg"] and "1.jpg" in (out / "captions.csv").read_text()
    (out / "2.jpg.part").write_bytes(b"half")
    with records_path(out).open("a") as file:
        file.write('{"name": "2.jpg", "sta')
    assert run(root, out)[1] == ["2.jpg", "3.jpg"] and not list(out.rglob("*.part"))
    assert set(read_records(out)) == {f"{number}.jpg" for number in range(4)}


def test_killed_it_leaves_whole_files_only(tmp_path, photo_bytes):
    root, out = tmp_path / "in", tmp_path / "out"
    root.mkdir()
    for number in range(12):
        (root / f"{number:02}.jpg").write_bytes(photo_bytes(seed=number))
    code = (
        "import sys; from pathlib import Path; from protect.jobs.photos.job import *;"
        "from protect.jobs.photos.run import protect_photos;"
        "protect_photos(make_job(Path(sys.argv[1]), Path(sys.argv[2]), PhotoSettings(seed=7)))"
    )
    process = subprocess.Popen([sys.executable, "-P", "-c", code, str(root), str(out)])
    while process.poll() is None and len(list(out.glob("*.jpg"))) < 3:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    written = sorted(path.name for path in out.glob("*.jpg"))
    assert 3 <= len(written) < 12
    for name in written:
        Image.open(out / name).load()
    _, fresh = run(root, out)
    assert len(fresh) in (12 - len(written), 13 - len(written))
    assert len(list(out.glob("*.jpg"))) == 12


# --- one bad file never ends a run


@pytest.fixture
def three(tmp_path, photo_bytes):
    """A folder of three photos, not protected yet, and its OUT."""
    root = tmp_path / "in"
    root.mkdir()
    for number, name in enumerate(("a.jpg", "b.jpg", "c.jpg")):
        (root / name).write_bytes(photo_bytes(seed=number))
    return root, tmp_path / "out"


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("a parser's own"),
        SystemError("tile cannot extend outside image"),
        OSError("EXIF data is too long"),
        OSError(5, "Input/output error"),
        struct.error("unpack requires a buffer"),
        RecursionError(),
        MemoryError(),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        Image.DecompressionBombError("too large"),
        AssertionError("bug"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_goes_wrong_with_one_photo_is_that_photos_failure(three, monkeypatch, error):
    root, out = three

    def protect_or_raise(entry, *rest):
        if entry.name == "b.jpg":
            raise error
        return protect_photo(entry, *rest)

    monkeypatch.setattr("protect.jobs.photos.job.protect_photo", protect_or_raise)
    for fresh in (["a.jpg", "c.jpg"], []):  # the first run, and the next one
        records, done = run(root, out)
        assert done == fresh
        assert {name: record.status for name, record in records.items()} == {
            "a.jpg": "protected", "b.jpg": "failed", "c.jpg": "protected"}  # fmt: skip
        assert records["b.jpg"].reason and "\n" not in status_line(records["b.jpg"])
        assert read_records(out)["b.jpg"] == records["b.jpg"]
    assert summary(out, list(records.values()))["failures"][0]["name"] == "b.jpg"


def test_a_photo_that_out_cannot_hold_fails_alone(three, monkeypatch):
    root, out = three

    def refused(path, data, mode=0o644):
        if path.name == "b.jpg":
            raise OSError(36, "File name too long", str(path))
        write_whole(path, data, mode)

    monkeypatch.setattr("protect.jobs.photos.photo.write_whole", refused)
    records, fresh = run(root, out)
    assert fresh == ["a.jpg", "c.jpg"] and records["b.jpg"].reason.startswith("cannot be written: ")


def test_out_that_is_gone_stops_the_run(three):
    root, out = three

    def lose(record, fresh):
        if record.name == "a.jpg":
            shutil.rmtree(out)
            out.write_text("no folder any more")

    with pytest.raises(OSError):
        protect_photos(make_job(root, out, SEED), lose)


def test_folders_of_odd_names_in_out_do_not_end_the_next_run(tmp_path, photo_bytes):
    root, out = tmp_path / "in", tmp_path / "out"
    (root / "album.part").mkdir(parents=True)
    (root / "album.part" / "a.jpg").write_bytes(photo_bytes())
    assert run(root, out)[1] == ["album.part/a.jpg"]
    assert run(root, out)[1] == [] and (out / "album.part" / "a.jpg").exists()


# --- names, places, keys


def test_names_that_are_hard_to_write(tmp_path, photo_bytes):
    root = tmp_path / "in"
    root.mkdir()
    names = [
        "n" * 251 + ".jpg",
        "\U0001f600 \u00fc.jpg",
        "A.jpg",
        "a.jpg",
        os.fsdecode(b"latin\xe9.jpg"),
        "line\nbreak.jpg",
    ]
    for number, name in enumerate(names):
        (root / name).write_bytes(photo_bytes(seed=number))
    (root / ("n" * 251 + ".txt")).write_text("long")
    records, fresh = run(root, tmp_path / "out")
    assert sorted(fresh) == sorted(names) and all((tmp_path / "out" / name).exists() for name in names)
    assert all("\n" not in status_line(record) and status_line(record).isprintable() for record in records.values())
    assert run(root, tmp_path / "out")[1] == []


def test_names_that_differ_in_case_where_out_cannot_hold_both(tmp_path, photo_bytes, monkeypatch):
    root = tmp_path / "in"
    root.mkdir()
    for number, name in enumerate(("A.jpg", "a.jpg", "a.JPG")):
        (root / name).write_bytes(photo_bytes(seed=number))
    job = make_job(root, tmp_path / "out", SEED)
    assert job.case_matters
    job.__dict__["case_matters"] = False
    records = protect_photos(job)
    assert {name: record.status for name, record in records.items()} == {
        "A.jpg": "protected", "a.jpg": "failed", "a.JPG": "failed"}  # fmt: skip
    assert "A.jpg has the same name" in records["a.jpg"].reason


def test_a_whole_file_of_the_longest_name(tmp_path):
    write_whole(tmp_path / ("x" * 255), b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["x" * 255]


def test_out_that_cannot_be_written_stops_the_run(small, monkeypatch):
    root, out = small
    (root / "new.jpg").write_bytes((root / "a.jpg").read_bytes() + b"\0")

    def full(path, data, mode=0o644):
        if path.suffix == ".jpg" and "private" not in path.parts:
            raise OSError(28, "No space left on device", str(path))
        write_whole(path, data, mode)

    monkeypatch.setattr("protect.jobs.photos.photo.write_whole", full)
    with pytest.raises(OSError, match="No space left"):
        run(root, out)
    monkeypatch.undo()
    assert run(root, out)[1] == ["new.jpg"]


def test_the_key_is_drawn_once_and_kept(tmp_path):
    key = own_key(tmp_path)
    assert own_key(tmp_path) == key and stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    (tmp_path / "more").mkdir()
    assert own_key(tmp_path / "more") != key
    (tmp_path / "key").write_text("no key")
    with pytest.raises(ValueError, match="expected 32 hexadecimal digits"):
        own_key(tmp_path)


def test_a_key_protector_hangs_on_its_key_alone():
    one, again, other = key_protector(1 << 100), key_protector(1 << 100), key_protector(3)
    assert one.hash == again.hash != other.hash
    assert one.fitted.alphabet == other.fitted.alphabet and one.recipe.noise.epsilon == EPSILON


def test_without_a_seed_two_folders_get_other_directions_and_the_same_true_words(small, tmp_path):
    root, _ = small
    captions = [run(root, tmp_path / name, PhotoSettings())[0]["b.jpg"].caption for name in ("one", "two", "one")]
    assert captions[0] == captions[1] == captions[2]
    assert (tmp_path / "one/b.jpg").read_bytes() != (tmp_path / "two/b.jpg").read_bytes()


@pytest.fixture
def captioned(tmp_path, photo_bytes):
    """A folder of 24 photos of the same place: captions in sidecars, and in the last four inside."""
    root = tmp_path / "rome"
    root.mkdir()
    for number in range(24):
        text, exif = f"Ann at the forum, {'fountain' if number % 3 else 'column'} {number}", Image.Exif()
        if number < 20:
            (root / f"{number:02}.txt").write_text(text)
        else:
            exif[0x010E] = text
        picture = Image.open(io.BytesIO(photo_bytes(seed=number)))
        picture.save(root / f"{number:02}.jpg", exif=exif)
    return root


def test_words_that_stand_in_most_captions_get_no_noise(captioned, tmp_path):
    job = make_job(captioned, tmp_path / "out", PhotoSettings(seed=7))
    counted = job.protector.hash
    assert counted != key_protector(7).hash
    kept = json.loads((tmp_path / "out/_protect/private/words.json").read_text())
    assert kept["pictures"] == 24 and kept["count"] == {"ann": 24, "at": 24, "the": 24, "forum": 24,
                                                        "fountain": 16, "column": 8}  # fmt: skip
    image = Image.open(captioned / "05.jpg")
    noises = [noise_of(job.protector, image, text)[0] for text in ("Ann, forum, column", "column", "Ann, fountain")]
    assert np.array_equal(noises[0], noises[1]) and not np.array_equal(noises[0], noises[2])


def test_photos_that_come_later_change_no_byte_of_the_others(captioned, tmp_path, photo_bytes):
    out = tmp_path / "out"
    run(captioned, out)
    before = changed_files(out)
    for number in range(24, 30):
        (captioned / f"{number}.jpg").write_bytes(photo_bytes(seed=number))
        (captioned / f"{number}.txt").write_text("Ben on a boat")
    _, fresh = run(captioned, out)
    assert fresh == [f"{number}.jpg" for number in range(24, 30)]
    assert {name: data for name, data in changed_files(out).items() if name in before} | {
        "captions.csv": before["captions.csv"]
    } == before


def test_a_few_captions_say_nothing_of_all(captioned, tmp_path):
    for path in [*captioned.glob("1*"), *captioned.glob("2*")]:
        path.unlink()
    assert make_job(captioned, tmp_path / "out", PhotoSettings(seed=7)).protector.hash == key_protector(7).hash


def test_words_are_counted_once_and_never_by_a_dry_run(tmp_path):
    counted = []

    def count():
        counted.append(1)
        return Vocabulary(30, {"boat": 3})

    assert own_words(tmp_path, count, dry=True) == own_words(tmp_path, count) == own_words(tmp_path, count)
    assert len(counted) == 2 and stat.S_IMODE((tmp_path / "words.json").stat().st_mode) == 0o600
    (tmp_path / "words.json").write_text('{"pictures": 0, "count": {}}')  # of a first run with few captions
    assert (
        own_words(tmp_path, count).pictures == 30 and own_words(tmp_path, count).pictures == 30 and len(counted) == 3
    )
    for broken in ("", "[]", '{"pictures": 3, "count": [1]}'):
        (tmp_path / "words.json").write_text(broken)
        with pytest.raises(ValueError, match="expected the words this tool has counted"):
            own_words(tmp_path, count)


@pytest.mark.parametrize("size", [(60, 90), (90, 60), (300, 90)])
def test_the_noise_goes_on_over_the_whole_photo(size):
    """No seam: beside the centre crop neighbours differ no more than within it."""
    flat = Image.new("RGB", size, (120, 120, 120))
    noise, _, side = noise_of(key_protector(3), flat, "a boat")
    change, _ = visible_change(flat, noise, 8.0, STRENGTHS["balanced"], side)
    long = change if size[1] > size[0] else change.transpose(1, 0, 2)
    steps = np.abs(np.diff(long, axis=0)).mean(axis=(1, 2))
    assert steps.max() < 2.5 * np.median(steps)


def test_a_protector_of_ones_own(small, tmp_path):
    recipe = Recipe(fit=FitSettings(method="random", size=32, window=4), noise=NoiseSettings(epsilon=4.0))
    (small[0] / "captions.csv").write_text("b.jpg,a boat\n")
    protector = fit_on_photos(small[0], recipe, lambda line: None)
    records, fresh = run(small[0], tmp_path / "own", protector=protector)
    assert fresh == ["a.jpg", "b.jpg", "c.jpg"] and protector.pairs == 2
    assert records["a.jpg"].caption.split()[0] in protector.fitted.alphabet[0]


def test_photos_that_a_method_was_fitted_on_get_the_noise_of_the_fit(tmp_path, photo_bytes, bring_back):
    """Whatever they are called meanwhile: phase 1's own noise and words are published, none are made anew."""
    source, size = tmp_path / "in", 32
    source.mkdir()
    for number, (name, mode) in enumerate((("a.png", "RGB"), ("b.png", "RGB"), ("c.tif", "RGB"), ("d.png", "L"))):
        kind = {"png": "PNG", "tif": "TIFF"}[name[-3:]]
        (source / name).write_bytes(photo_bytes(kind, mode, seed=number))
        (source / f"{name[0]}.txt").write_text(f"a boat in harbour {number}")
    recipe = Recipe(
        fit=FitSettings(method="mem", surrogate=("tiny-resnet",), size=size, batch=4),
        own=MemSettings(rounds=1, surrogate_steps=1, candidates=2, steps=8),
    )
    fit_on_photos(source, recipe, lambda line: None).save(tmp_path / "protector")
    protector = Protector.load(tmp_path / "protector")
    (source / "a.png").rename(source / "renamed.png")
    (source / "a.txt").rename(source / "renamed.txt")
    kept = protector.fitted.noise.read(torch.arange(4)).numpy().astype(np.float32)
    records, rows = run(source, tmp_path / "out", protector=protector)[0], {}
    for entry in [entry for entry in walk(source) if entry.kind == "photo"]:
        photo = read_photo(entry, {}, SEED)
        noise, words, _ = protector.perturb([protector.look(photo.prepared)])[0]()
        rows[entry.name] = int(np.abs(kept - noise).sum(axis=(1, 2, 3)).argmin())
        np.testing.assert_array_equal(kept[rows[entry.name]], noise)
        assert records[entry.name].caption.startswith(" ".join(words))
    assert sorted(rows.values()) == [0, 1, 2, 3]
    for name in ("renamed.png", "c.tif"):
        before, after = (np.asarray(Image.open(folder / name), np.float32) for folder in (source, tmp_path / "out"))
        seen = bring_back(after - before, size)
        found = [np.corrcoef(seen.ravel(), noise.ravel())[0, 1] for noise in kept]
        assert np.argmax(found) == rows[name] and max(found) > 0.4


def test_a_broken_list_of_captions_stops_before_anything_is_written(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "captions.csv").write_text("nothing\n")
    with pytest.raises(ValueError, match="expected the columns"):
        make_job(tmp_path / "in", tmp_path / "out", SEED)
    with pytest.raises(PlanError):
        make_job(tmp_path / "in", tmp_path / "in", SEED)
    assert not (tmp_path / "out").exists()


# --- times and sizes


def test_files_are_as_old_as_their_originals(three):
    root, out = three
    (root / "a.txt").write_text("a caption")
    for path in root.iterdir():
        os.utime(path, (1_500_000_000, 1_500_000_000.25))
    run(root, out)
    assert {path.stat().st_mtime for path in (*out.glob("*.jpg"), out / "a.txt")} == {1_500_000_000.25}
    assert run(root, out)[1] == []


def test_the_gallery_follows_a_photo_of_an_old_date(three, photo_bytes):
    root, out = three

    def small():
        return [path.read_bytes() for path in sorted((out / "_protect/private/gallery").glob("*.jpg"))]

    run(root, out)
    before = small()
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (root / name).write_bytes(photo_bytes(seed=9, size=(80, 60)))
        os.utime(root / name, (1_000_000_000, 1_000_000_000))
    run(root, out)
    assert len(small()) == 3 and not set(small()) & set(before)


def test_files_that_grow_more_than_twice_are_named_with_the_cure(tmp_path, photo_bytes):
    root = tmp_path / "in"
    root.mkdir()
    Image.new("RGB", (320, 240), (250, 250, 252)).save(root / "shot.webp", lossless=True)
    (root / "photo.jpg").write_bytes(photo_bytes(size=(320, 240), quality=95))
    records, _ = run(root, tmp_path / "out")
    total = summary(tmp_path / "out", list(records.values()))
    record = records["shot.webp"]
    assert record.original == (root / "shot.webp").stat().st_size and record.written > 2 * record.original
    assert total["grown"] == 1 and "shot.webp: " in total["text"] and "--quality 80" in total["text"]
    assert "photo.jpg: " not in total["text"] and "grew from" in status_line(record)


def test_a_text_of_two_photos_is_read_by_both_and_written_with_the_first(tmp_path, photo_bytes):
    root = tmp_path / "in"
    root.mkdir()
    (root / "two.jpg").write_bytes(photo_bytes(seed=1))
    (root / "two.png").write_bytes(photo_bytes("PNG", seed=2))
    (root / "two.txt").write_text(CLEAN)
    records, _ = run(root, tmp_path / "out")
    assert all(record.caption.endswith(CLEAN) for name, record in records.items() if name != "two.txt")
    assert (tmp_path / "out/two.txt").read_text().strip() == records["two.jpg"].caption
    assert "two.txt" in records["two.png"].reason and records["two.jpg"].reason == ""
    assert list(scan_photos(tmp_path / "out")) == []


def test_sizes_as_a_person_reads_them():
    assert [size_text(count) for count in (0, 999, 24_300, 999_999, 1_048_576, 2_500_000_000)] == [
        "0 bytes", "999 bytes", "24.3 kB", "1000 kB", "1.05 MB", "2.5 GB"]  # fmt: skip


# --- records, samples, summaries


def test_records_round_trip(tmp_path):
    (tmp_path / "_protect" / "private").mkdir(parents=True)
    one = PhotoRecord("b\udcff \u00fc.jpg", "protected", caption="x\ny", epsilon=8.0, lowered=True, seconds=1.5)
    two = PhotoRecord("a.jpg", "failed", "why")
    write_records(tmp_path, [one])
    append_record(tmp_path, two)
    append_record(tmp_path, PhotoRecord("a.jpg", "skipped", "later"))
    assert list(read_records(tmp_path).values()) == [PhotoRecord("a.jpg", "skipped", "later"), one]
    assert read_records(tmp_path / "nowhere") == {}
    for line in ("[]", "{}", '{"name": "a"}', "nonsense", '{"name": "a", "status": "failed", "more": 1}'):
        records_path(tmp_path).write_text(f"{line}\n")
        with pytest.raises(ValueError, match="expected"):
            read_records(tmp_path)


def test_photos_are_read_for_a_fit_as_they_are_protected(source, done):
    read = [load() for load in photo_samples(source)]
    refused = [item.kind for item in read if isinstance(item, Failure)]
    assert set(refused) == {"no caption", "unusable image"} and refused.count("unusable image") == 1  # cut.jpg
    photos = [item for item in read if isinstance(item, Prepared)]
    protected = [record for record in done[1].values() if record.status == "protected" and record.caption_before]
    assert sorted(item.captions[0] for item in photos) == sorted(record.caption_before for record in protected)
    assert {item.picture.kind for item in photos} == {"JPEG", "PNG", "TIFF"}
    assert len({item.view(32).key for item in photos}) == len(photos)


def test_which_sources_are_photos(source, tmp_path):
    (tmp_path / "00000.tar").write_bytes(b"")
    assert is_photo_folder([str(source)])
    assert not is_photo_folder([str(tmp_path)]) and not is_photo_folder([str(source), str(source)])
    assert not is_photo_folder(["in/{0..3}.tar"])


def test_summary_and_dry_run(source, done, tmp_path):
    out, records = done
    total = summary(out, list(records.values()))
    assert (total["protected"], total["failed"], total["skipped"]) == (10, 2, 4)
    assert total["text"].startswith(f"10 photos protected, 4 files skipped, 2 failed: {out}\n")
    assert "cut.jpg: expected" in total["text"] and "movies cannot be protected (here 1)" in total["text"]
    planned = estimate(make_job(source, tmp_path / "new", SEED, dry=True))
    assert (planned["photos"], planned["new"]) == (11, 11) and planned["seconds"] > 0
    assert not (tmp_path / "new").exists()
    assert estimate(make_job(source, out, SEED, dry=True))["new"] == 1  # cut.jpg, which may have been mended


def test_status_lines():
    assert status_line(PhotoRecord("a.jpg", "failed", "why")) == "failed: a.jpg: why"
    record = PhotoRecord("a.jpg", "protected", "note", epsilon=6.5, ssim=0.9, seconds=1.25, lowered=True)
    line = "protected: a.jpg: epsilon 6.5, SSIM 0.900, 1.2 s; note; epsilon lowered to keep the photo's looks"
    assert status_line(record) == line and status_line(record, fresh=False) == "done before: a.jpg"


@pytest.mark.parametrize(("language", "start"), [("en", "light"), ("de", "Licht"), ("it", "luce")])
def test_a_photo_without_a_caption_gets_a_text_that_a_person_would_post(tmp_path, photo_bytes, language, start):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.jpg").write_bytes(photo_bytes())
    (tmp_path / "in/b.jpg").write_bytes(photo_bytes())
    (tmp_path / "in/b.txt").write_text("a boat")
    settings = PhotoSettings(seed=7, language=language)
    records = protect_photos(make_job(tmp_path / "in", tmp_path / "out", settings))
    text, captioned = records["a.jpg"].caption, records["b.jpg"].caption
    assert text.count(", ") == 3 and text[0].isupper() and start.casefold() in text.casefold()
    assert len(records["a.jpg"].alternatives) == 3 and not records["b.jpg"].alternatives
    assert captioned == f"{text}. a boat"
    assert read_records(tmp_path / "out")["a.jpg"].alternatives == records["a.jpg"].alternatives
    styled = replace(settings, trigger_style="prefix")
    again = protect_photos(make_job(tmp_path / "in", tmp_path / "other", styled))
    assert again["b.jpg"].caption.endswith(" a boat") and ", " not in again["b.jpg"].caption
