"""Folders of damaged photos, texts and lists: the run ends, sound photos are done, nothing clean is in OUT."""

import io
import json
import random

import pytest
from PIL import Image

from protect.data.metadata.xmp import write_xmp
from protect.jobs.photos.job import make_job
from protect.jobs.photos.leaks import scan_photos
from protect.jobs.photos.run import protect_photos
from protect.jobs.photos.summary import status_line, summary
from protect.settings.publish import PhotoSettings

CLEAN = "a clean caption of a heron"
KINDS = {"jpg": "JPEG", "png": "PNG", "tif": "TIFF", "webp": "WEBP", "avif": "AVIF"}


def damaged(data, chance):
    """The bytes with one to four places changed, doubled or lost."""
    whole = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at, length = chance.randrange(max(1, len(whole))), chance.randint(1, 40)
        change = chance.choice(("set", "double", "lose"))
        if change == "set":
            whole[at : at + 4] = chance.randbytes(4)
        elif change == "double":
            whole[at:at] = whole[at : at + length]
        else:
            del whole[at : at + length]
    return bytes(whole)


def photo(kind, chance):
    exif = Image.Exif()
    exif[0x010E] = CLEAN
    image = Image.effect_noise((48, 32), 40).convert("RGB")
    buffer = io.BytesIO()
    packet = write_xmp(("dc:description",), CLEAN, {}, False).replace(b"urn:protect-pairs", b"urn:other")
    image.save(buffer, kind, exif=exif, **({} if kind in ("TIFF", "PNG") else {"xmp": packet}))
    return damaged(buffer.getvalue(), chance)


def texts(chance):
    """Sidecars and lists by name, each damaged."""
    row = {"file_name": "0.png", "text": CLEAN}
    files = {
        "0.txt": CLEAN.encode(chance.choice(("utf-8", "utf-16"))),
        "1.xmp": write_xmp(("dc:title",), CLEAN, {}, False),
        "2.jpg.json": json.dumps({"description": CLEAN, "title": "2.jpg"}).encode(),
        "3.json": json.dumps([{"SourceFile": "3.jpg", "XMP:Title": CLEAN}]).encode(),
        "metadata.csv": b"file_name,text\n4.png,another heron\n",
        "metadata.jsonl": json.dumps(row).encode() + b"\n",
        "sub/captions.csv": b"file,caption\n0.jpg,a heron below\n",
    }
    return {name: damaged(data, chance) for name, data in files.items()}


@pytest.mark.parametrize("seed", range(4))
def test_a_folder_of_damaged_files(tmp_path, photo_bytes, seed):
    chance, root, out = random.Random(seed), tmp_path / "in", tmp_path / "out"
    files = {f"{n}.{ending}": photo(kind, chance) for n in range(3) for ending, kind in KINDS.items()}
    files |= texts(chance) | {"sound.jpg": photo_bytes(), "sub/sound.png": photo_bytes("PNG")}
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    job = make_job(root, out, PhotoSettings(seed=7))
    records = protect_photos(job)
    assert {path: path.read_bytes() for path in before} == before
    assert set(records) == set(files)
    assert records["sound.jpg"].status == records["sub/sound.png"].status == "protected"
    assert all(record.reason for record in records.values() if record.status != "protected")
    assert all("\n" not in status_line(record) for record in records.values()) and summary(
        out, list(records.values())
    )
    assert [leak for leak in scan_photos(out) if leak.kind != "unreadable"] == []
    assert protect_photos(job) == records
